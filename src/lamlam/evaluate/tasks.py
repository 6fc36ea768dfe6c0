"""One run, one task: what `lamlam evaluate` runs and writes into the run's `results.json`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import TypeVar

from lamlam.corpus import Corpus
from lamlam.engine.engine import Engine
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate.completion import CompletionResult, complete
from lamlam.evaluate.dynamic import dynamic_perplexity
from lamlam.evaluate.editing import EditingResult, edit_facts
from lamlam.evaluate.forgetting import ForgettingResult, forget_facts
from lamlam.evaluate.perplexity import PerplexityResult, perplexity
from lamlam.evaluate.results import Provenance, Result, append_result
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.vocab import Arm

__all__ = ["TASKS", "Evaluation"]

_Outcome = TypeVar("_Outcome")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A checkpoint, what it is asked, and how.

    `facts` is how many facts are edited, and forgotten; `sample` how many held-out documents of a group are read for
    the dynamic perplexity.
    """

    checkpoint: Checkpoint
    arm: Arm
    corpus: Corpus
    kb_path: str | Path
    settings: DecodingSettings
    facts: int = 50
    sample: int = 100
    seed: int = 0
    progress: bool = False
    _memory: dict[str, CompletionResult] = field(default_factory=dict, init=False, repr=False, compare=False)

    def run(self, task: str) -> dict[str, Result]:
        """The results of a task by the names that they take in `results.json`.

        Raises `InputError` for an unknown task, or where the corpus has nothing to measure it on.
        """
        if task not in TASKS:
            raise InputError(f"there is no task '{task}': choose among {', '.join(TASKS)}", field="task")
        return dict(TASKS[task](self))

    def write(self, run: str | Path, results: Mapping[str, Result]) -> None:
        """Put results into `run`/results.json, with where they came from."""
        with KnowledgeBase.open(self.kb_path) as kb:
            digest = kb.digest()
        asked = {"arm": self.arm, "facts": self.facts, "sample": self.sample, "decoding": self.settings.model_dump()}
        for name, result in results.items():
            append_result(run, result, Provenance(self.seed, asked, digest), name=name)

    def answered(self) -> CompletionResult:
        """What the model says to the probes, used as it is meant to be; asked once."""
        if "answered" not in self._memory:
            off = self.settings.model_copy(update={"lookups": False})
            settings = off if self.arm == "standard" else self.settings
            self._memory["answered"] = self._complete(settings)
        return self._memory["answered"]

    def answered_without_lookups(self) -> CompletionResult:
        return self._complete(self.settings.model_copy(update={"lookups": False}))

    def _complete(self, settings: DecodingSettings) -> CompletionResult:
        if not self.corpus.probes:
            raise InputError("the corpus has no probes to complete")
        with KnowledgeBase.open(self.kb_path) as kb:
            return complete(self.engine_on(kb), self.corpus.probes, settings, progress=self.progress)

    def engine_on(self, kb: KnowledgeBase) -> Engine:
        return Engine(self.checkpoint.model, self.checkpoint.vocabulary, kb, batch_size=64)


def _completion(evaluation: Evaluation) -> dict[str, CompletionResult]:
    """As the arm is meant to be used, and for the LMLM with lookups forbidden too."""
    answered = {"completion": evaluation.answered()}
    if evaluation.arm == "standard":
        return answered
    return answered | {"completion_db_off": evaluation.answered_without_lookups()}


def _perplexity(evaluation: Evaluation) -> dict[str, PerplexityResult]:
    """On each group of held-out documents and on all of them."""
    groups = {group: documents for group, documents in evaluation.corpus.heldout.items() if documents}
    if not groups:
        raise InputError("the corpus has no held-out documents to measure perplexity on")
    checkpoint, progress = evaluation.checkpoint, evaluation.progress
    results = {
        f"perplexity_{group}": perplexity(
            checkpoint.model, checkpoint.vocabulary, documents, evaluation.arm, progress=progress
        )
        for group, documents in groups.items()
    }
    if evaluation.arm == "lmlm":
        with KnowledgeBase.open(evaluation.kb_path) as kb:
            engine = evaluation.engine_on(kb)
            for group, documents in groups.items():
                dynamic = dynamic_perplexity(
                    engine,
                    documents,
                    evaluation.settings,
                    sample=evaluation.sample,
                    seed=evaluation.seed,
                    progress=progress,
                )
                results[f"perplexity_{group}"] = replace(results[f"perplexity_{group}"], dynamic=dynamic)
    return {"perplexity": reduce(add, results.values())} | results


def _editing(evaluation: Evaluation) -> dict[str, EditingResult]:
    return {"editing": _on_a_copy(evaluation, edit_facts)}


def _forgetting(evaluation: Evaluation) -> dict[str, ForgettingResult]:
    return {"forgetting": _on_a_copy(evaluation, forget_facts)}


def _on_a_copy(evaluation: Evaluation, task: Callable[..., _Outcome]) -> _Outcome:
    if evaluation.arm == "standard":
        raise InputError("a standard model makes no lookups: only an LMLM can be edited and made to forget")
    return task(
        evaluation.engine_on,
        evaluation.kb_path,
        evaluation.corpus.probes,
        evaluation.settings,
        before=evaluation.answered(),
        number=evaluation.facts,
        seed=evaluation.seed,
        progress=evaluation.progress,
    )


TASKS: Mapping[str, Callable[[Evaluation], Mapping[str, Result]]] = {
    "completion": _completion,
    "perplexity": _perplexity,
    "editing": _editing,
    "forgetting": _forgetting,
}
