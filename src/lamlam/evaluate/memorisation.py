"""Memorisation: are the facts in the weights?

Three signs, each beside the same model trained with the loss on values left in: the loss on values inside calls over
training, what is answered with lookups forbidden, and what is answered with them. The floor of both is a guess that
knows relations but no facts.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lamlam.corpus import Corpus, Probe
from lamlam.corpus.lines import read_entries
from lamlam.evaluate.completion import CompletionResult
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.results import Share
from lamlam.evaluate.twins import Twins
from lamlam.markup import AnnotatedDocument
from lamlam.model.checkpoint import Checkpoint
from lamlam.vocab import Vocabulary

__all__ = ["MemorisationResult", "RelationPrior", "memorisation"]


class RelationPrior:
    """A guess from the relation alone: how often training texts' calls give each value for it.

    A value of a relation has the probability (count + 1) / (all + different values + 1); what is left over is for a
    value that was never seen.
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

    def accuracy(self, probes: Iterable[Probe]) -> Share:
        """Of probes, those that the guess answers: with the value of a lookup, or one of the values in it."""
        return Share.of([self.guess(probe.relation) in (*probe.answers, ", ".join(probe.answers)) for probe in probes])

    def loss(self, documents: Iterable[AnnotatedDocument], vocabulary: Vocabulary) -> float | None:
        """Minus the log-probability of the documents' values, in nats a token of theirs; None without calls."""
        total, tokens = 0.0, 0
        for document in documents:
            for call in document.calls:
                counts = self._counts[call.relation]
                total -= math.log((counts[call.value] + 1) / (counts.total() + len(counts) + 1))
                tokens += len(vocabulary.encode(" " + call.value))
        return total / tokens if tokens else None


@dataclass(frozen=True, slots=True)
class MemorisationResult:
    """What both models answer, by whether lookups were allowed, and the loss on values over training.

    `curves` holds for "masked" and "unmasked", and each group of held-out documents, points (tokens seen, loss on the
    values inside calls in nats a token); `floor` what the relation-prior guess answers, by group of probes, and
    `floor_loss` its loss on the held-out documents' values, by group.
    """

    tokens: int
    answers: Mapping[str, Mapping[str, CompletionResult]]
    floor: Mapping[str, Share]
    floor_loss: Mapping[str, float | None]
    curves: Mapping[str, Mapping[str, list[tuple[float, float]]]]
    task: str = "memorisation"

    def figures(self) -> dict[str, Any]:
        """`masked.off.seen.accuracy` and so on, `floor.seen.accuracy`, `floor_loss.seen`, `curves.masked.seen`."""
        answered = {
            name: {use: _accuracies(result) for use, result in uses.items()} for name, uses in self.answers.items()
        }
        floor = {group: share.as_json("accuracy") for group, share in self.floor.items()}
        return answered | {
            "tokens": self.tokens,
            "floor": floor,
            "floor_loss": dict(self.floor_loss),
            "curves": {name: dict(groups) for name, groups in self.curves.items()},
        }


def memorisation(evaluation: Evaluation) -> dict[str, MemorisationResult]:
    """Train the run's recipe with and without the mask, to the same number of tokens, and ask both.

    Where all tokens of the recipe are trained on, the run itself is the masked one.
    """
    twins = Twins(evaluation)
    masked = twins.train("masked", {}) if evaluation.quick else evaluation.run_folder
    folders = {"masked": masked, "unmasked": twins.train("unmasked", {"training.mask_values": False})}
    corpus, vocabulary = evaluation.corpus, evaluation.checkpoint.vocabulary
    prior = RelationPrior(corpus.train)
    result = MemorisationResult(
        tokens=twins.tokens,
        answers={name: _answers(evaluation, folder) for name, folder in folders.items()},
        floor={group: prior.accuracy(probes) for group, probes in _by_group(corpus.probes).items()},
        floor_loss={group: prior.loss(documents, vocabulary) for group, documents in corpus.heldout.items()},
        curves={name: _curves(folder / "metrics.jsonl", corpus) for name, folder in folders.items()},
    )
    return {"memorisation": result}


def _answers(evaluation: Evaluation, folder: Path) -> dict[str, CompletionResult]:
    """What the model in a folder says, with lookups and without; the run's own has been asked already, or will be."""
    own = folder == evaluation.run_folder
    asked = evaluation if own else replace(evaluation, checkpoint=Checkpoint.load(folder))
    return {"on": asked.answered(), "off": asked.answered_without_lookups()}


def _curves(metrics: Path, corpus: Corpus) -> dict[str, list[tuple[float, float]]]:
    """Points (tokens seen, loss on values) of each group, from a run's metrics."""
    curves: dict[str, list[tuple[float, float]]] = {group: [] for group in corpus.heldout}
    for entry in read_entries(metrics):
        line = entry.value
        if line.get("group") in curves and "value_loss" in line:
            curves[line["group"]].append((float(line["tokens"]), float(line["value_loss"])))
    return curves


def _by_group(probes: Sequence[Probe]) -> dict[str, list[Probe]]:
    groups: dict[str, list[Probe]] = defaultdict(list)
    for probe in probes:
        groups[probe.group].append(probe)
    return dict(sorted(groups.items()))


def _accuracies(result: CompletionResult) -> dict[str, Any]:
    return {group: scores.accuracy.as_json("accuracy") for group, scores in result.groups().items()}
