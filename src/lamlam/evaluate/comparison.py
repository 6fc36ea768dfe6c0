"""Both arms side by side: every figure of a limited-memory model beside those of the standard model.

It runs the tasks of this package in turn, each measured by the module of its name, and has them summarised.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from lamlam.corpus import Corpus
from lamlam.engine.engine import Engine
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.completion import CompletionResult, complete
from lamlam.evaluate.dynamic import dynamic_perplexity
from lamlam.evaluate.editing import edit_facts
from lamlam.evaluate.forgetting import forget_facts
from lamlam.evaluate.perplexity import PerplexityResult, perplexity
from lamlam.evaluate.summary import ArmResults, summarise
from lamlam.files import atomic_write
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint

__all__ = ["Comparison"]

_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The two arms, what they are asked, and how.

    `settings` govern decoding; the standard arm is decoded with them too, lookups off. `changes` is the number of facts
    that are edited, and forgotten; `sample` the number of held-out documents a group that are read for the dynamic
    perplexity.
    """

    lmlm: Checkpoint
    standard: Checkpoint
    corpus: Corpus
    kb_path: Path
    settings: DecodingSettings
    changes: int = 50
    sample: int = 100
    seed: int = 0
    progress: bool = False

    def run(self, records: Path | None = None) -> dict[str, Any]:
        """All figures, nested by arm as `summarise` names them, and the seconds that each task took.

        What was generated for each probe goes to the file `records` (JSON Lines), where one is named.
        """
        seconds: dict[str, float] = {}
        with KnowledgeBase.open(self.kb_path) as kb:
            lmlm, standard = self._engine(self.lmlm, kb), self._engine(self.standard, kb)
            off = self.settings.model_copy(update={"lookups": False})
            with _timed(seconds, "completion"):
                completions = {
                    "lmlm": self._complete(lmlm, self.settings),
                    "db_off": self._complete(lmlm, off),
                    "standard": self._complete(standard, off),
                }
            with _timed(seconds, "perplexity"):
                lmlm_perplexity, standard_perplexity = self._lmlm_perplexity(lmlm), self._standard_perplexity()
        with _timed(seconds, "editing"):
            edit = self._change(edit_facts)
        with _timed(seconds, "forgetting"):
            forget = self._change(forget_facts)
        if records is not None:
            _write_records(records, completions)
        return summarise(
            ArmResults(completions["lmlm"], lmlm_perplexity, completions["db_off"]),
            ArmResults(completions["standard"], standard_perplexity),
            edit,
            forget,
            seconds,
        )

    def _engine(self, checkpoint: Checkpoint, kb: KnowledgeBase) -> Engine:
        return Engine(checkpoint.model, checkpoint.vocabulary, kb, batch_size=64)

    def _complete(self, engine: Engine, settings: DecodingSettings) -> CompletionResult:
        return complete(engine, self.corpus.probes, settings, progress=self.progress)

    def _change(self, task: Callable[..., _R]) -> _R:
        """An evaluation that changes facts, which it does on a copy of the knowledge base."""
        engine_on = partial(self._engine, self.lmlm)
        return task(
            engine_on,
            self.kb_path,
            self.corpus.probes,
            self.settings,
            number=self.changes,
            seed=self.seed,
            progress=self.progress,
        )

    def _lmlm_perplexity(self, engine: Engine) -> dict[str, PerplexityResult]:
        results = {}
        for group, documents in self.corpus.heldout.items():
            gold = perplexity(engine.model, engine.vocabulary, documents, "lmlm", progress=self.progress)
            own = dynamic_perplexity(
                engine, documents, self.settings, sample=self.sample, seed=self.seed, progress=self.progress
            )
            results[group] = replace(gold, dynamic=own)
        return results

    def _standard_perplexity(self) -> dict[str, PerplexityResult]:
        model, vocabulary = self.standard.model, self.standard.vocabulary
        return {
            group: perplexity(model, vocabulary, documents, "standard", progress=self.progress)
            for group, documents in self.corpus.heldout.items()
        }


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[stage] = round(time.monotonic() - started, 1)


def _write_records(path: Path, completions: dict[str, CompletionResult]) -> None:
    with atomic_write(path) as out:
        for run, result in completions.items():
            for record in result.records:
                out.write(json.dumps({"run": run} | record.as_json(), ensure_ascii=False) + "\n")
