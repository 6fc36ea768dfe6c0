"""Tasks that train models as the run was trained, except for one thing: memorisation and offloading."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lamlam.corpus import Corpus, Probe
from lamlam.corpus.files import load_corpus
from lamlam.corpus.lines import read_entries
from lamlam.evaluate.completion import Completions, scores_json
from lamlam.evaluate.evaluation import Evaluation, NotApplicable, task
from lamlam.evaluate.results import Proportion, Result
from lamlam.evaluate.tasks.perplexity import perplexities
from lamlam.markup import AnnotatedDocument
from lamlam.model.checkpoint import Checkpoint
from lamlam.pretrain.recipe import load_recipe
from lamlam.pretrain.training import pretrain
from lamlam.vocab import Vocabulary

__all__ = ["PairedRuns", "RelationPrior"]

_QUICK_TOKENS = 250_000
_QUICK = {"training.evaluations": 4, "training.heldout": 60}
_SHARES, _QUICK_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0), (0.0, 0.5, 1.0)
_HELDOUT = (200, 60)
"""Held-out documents of a group that offloading reads, and with `quick`."""


class PairedRuns:
    """Trains models by the run's own recipe with a few changes, each in a folder under the run's `evaluation` folder.

    One that was interrupted resumes, one that has ended is not trained again. With `quick` they see few tokens, so that
    they are compared with one another only. Raises `NotApplicable` for a checkpoint without a recipe.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._path = evaluation.run_folder / "recipe.yaml"
        if not self._path.exists():
            raise NotApplicable("models must be trained for this: the run's folder holds no recipe.yaml")
        self._recipe = load_recipe(self._path)

    @property
    def tokens(self) -> int:
        """How many tokens each run sees."""
        whole = self._recipe.training.tokens
        return self._evaluation.size(whole, min(whole, _QUICK_TOKENS))

    def train(self, name: str, changes: Mapping[str, Any]) -> Path:
        """Return the folder of the run that differs by `changes`, fields of the recipe by dotted names; train it first.

        It has the original run's tokenizer, so that losses are over the same tokens.
        """
        folder = self._evaluation.workspace("twins") / f"{name}-{self.tokens}"
        fields: dict[str, Any] = {"name": name, "training.tokens": self.tokens}
        if self._recipe.model.path is None:
            fields["vocabulary.path"] = str(self._evaluation.run_folder)
        fields |= (_QUICK if self._evaluation.quick else {}) | dict(changes)
        pretrain(load_recipe(self._path, [f"{name}={json.dumps(value)}" for name, value in fields.items()]), folder)
        return folder


class RelationPrior:
    """A guess from the relation alone: how often training texts' calls give each value for it.

    A value of a relation has the probability (count + 1) / (total + distinct values + 1); the remainder is for a value
    that was never seen.
    """

    def __init__(self, documents: Iterable[AnnotatedDocument]) -> None:
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        for document in documents:
            for call in document.calls:
                self._counts[call.relation][call.value] += 1

    def guess(self, relation: str) -> str | None:
        """The relation's most frequent value; the first of several in alphabetical order."""
        counts = self._counts.get(relation)
        return min(counts, key=lambda value: (-counts[value], value)) if counts else None

    def accuracy(self, probes: Iterable[Probe]) -> Proportion:
        """Of probes, those that the guess answers: with all values of a lookup, or one of them."""
        return Proportion.of(
            self.guess(probe.relation) in (*probe.answers, ", ".join(probe.answers)) for probe in probes
        )

    def loss(self, documents: Iterable[AnnotatedDocument], vocabulary: Vocabulary) -> float | None:
        """Minus the log-probability of the documents' values, in nats per token of theirs; None without calls."""
        total, tokens = 0.0, 0
        for document in documents:
            for call in document.calls:
                counts = self._counts[call.relation]
                total -= math.log((counts[call.value] + 1) / (counts.total() + len(counts) + 1))
                tokens += len(vocabulary.encode(" " + call.value))
        return total / tokens if tokens else None


@task("memorisation", "what the weights know, beside the same model without the mask", arms=("lmlm",))
def memorisation(evaluation: Evaluation) -> Result:
    """Are the facts in the weights? The run's recipe is trained with and without the mask, for the same tokens.

    `masked.off.seen.accuracy` and so on are what both models answer with lookups and without; `curves` their loss on
    the values inside calls over training. `floor` and `floor_loss` are those of a guess from the relation alone. Unless
    `quick`, the run itself is the masked one.
    """
    runs = PairedRuns(evaluation)
    masked = runs.train("masked", {}) if evaluation.quick else evaluation.run_folder
    folders = {"masked": masked, "unmasked": runs.train("unmasked", {"training.mask_values": False})}
    corpus, vocabulary = evaluation.corpus, evaluation.checkpoint.vocabulary
    prior = RelationPrior(corpus.train)
    groups = sorted({probe.group for probe in corpus.probes})
    floor = {group: prior.accuracy(probe for probe in corpus.probes if probe.group == group) for group in groups}
    figures = {name: _answers(evaluation, folder) for name, folder in folders.items()} | {
        "tokens": runs.tokens,
        "floor": {group: accuracy.as_json("accuracy") for group, accuracy in floor.items()},
        "floor_loss": {group: prior.loss(documents, vocabulary) for group, documents in corpus.heldout.items()},
        "curves": {name: _curves(folder / "metrics.jsonl", corpus) for name, folder in folders.items()},
    }
    return Result("memorisation", more=figures)


def _answers(evaluation: Evaluation, folder: Path) -> dict[str, Any]:
    """Accuracy of the model in a folder by group, with lookups and without; the run's own may be known already."""
    own = folder == evaluation.run_folder
    asked = evaluation if own else replace(evaluation, checkpoint=Checkpoint.load(folder))
    return {"on": _accuracies(asked.answered()), "off": _accuracies(asked.answered(lookups=False))}


def _accuracies(completions: Completions) -> dict[str, Any]:
    return {group: scores["accuracy"].as_json("accuracy") for group, scores in completions.groups().items()}


def _curves(metrics: Path, corpus: Corpus) -> dict[str, list[tuple[float, float]]]:
    """Points (tokens seen, loss on values) of each group, from a run's metrics."""
    curves: dict[str, list[tuple[float, float]]] = {group: [] for group in corpus.heldout}
    for entry in read_entries(metrics):
        line = entry.value
        if line.get("group") in curves and "value_loss" in line:
            curves[line["group"]].append((float(line["tokens"]), float(line["value_loss"])))
    return curves


@task("offloading", "how it goes as more of the facts are looked up", arms=("lmlm",))
def offloading(evaluation: Evaluation) -> Result:
    """Perplexity and facts as more and more of the facts are looked up (arXiv 2505.15962).

    A model is trained for each share of the facts, chosen at random or hardest first (see `pretrain.offloading`), and
    its perplexity measured on texts with calls for the same facts. Nothing and everything are the same for both
    policies. How hard a fact is says the run that offloads nothing: it has read the same texts without a call.
    """
    runs = PairedRuns(evaluation)
    steps = [_step(evaluation, policy, share, _train(runs, policy, share)) for policy, share in _plan(evaluation)]
    return Result("offloading", more={"tokens": runs.tokens, "steps": steps})


def _plan(evaluation: Evaluation) -> Iterator[tuple[str, float]]:
    for policy in ("random", "hardest"):
        for share in _QUICK_SHARES if evaluation.quick else _SHARES:
            if 0 < share < 1 or policy == "random":
                yield policy, share


def _train(runs: PairedRuns, policy: str, share: float) -> Path:
    changes: dict[str, Any] = {"offloading.share": share, "offloading.policy": policy}
    if policy == "hardest":
        changes["offloading.reference"] = str(_train(runs, "random", 0.0))
    return runs.train(f"offloading-{policy}-{round(100 * share)}", changes)


def _step(evaluation: Evaluation, policy: str, share: float, folder: Path) -> dict[str, Any]:
    corpus, most = load_corpus(folder / "corpus"), evaluation.size(*_HELDOUT)
    heldout = {group: documents[:most] for group, documents in corpus.heldout.items()}
    trained = replace(evaluation, checkpoint=Checkpoint.load(folder), corpus=replace(corpus, heldout=heldout))
    figures = perplexities(trained)["perplexity"].figures()
    groups = {group: scores_json(scores) for group, scores in trained.answered().groups().items()}
    return {"policy": policy, "share": share, "perplexity": figures} | groups
