"""Both arms side by side: every figure of a limited-memory model beside those of the standard model.

It runs the tasks of this package in turn and nests what they return; each task is measured by the module of its name.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from lamlam.corpus import Corpus
from lamlam.engine.engine import Engine
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.completion import CompletionResult, complete
from lamlam.evaluate.dynamic import dynamic_perplexity
from lamlam.evaluate.editing import edit_facts
from lamlam.evaluate.forgetting import forget_facts
from lamlam.evaluate.perplexity import PerplexityResult, perplexity
from lamlam.files import atomic_write
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint

__all__ = ["Comparison", "compare"]


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


def compare(comparison: Comparison, records: Path | None = None) -> dict[str, Any]:
    """All figures, nested by arm: `lmlm.seen.accuracy`, `standard.perplexity`, `edit.success`, `seconds.completion`...

    The records of all completions go to the file `records` (JSON Lines), where one is named.
    """
    seconds: dict[str, float] = {}
    with KnowledgeBase.open(comparison.kb_path) as kb:
        with _timed(seconds, "completion"):
            completions = _completions(comparison, kb)
        with _timed(seconds, "perplexity"):
            lmlm_perplexity, standard_perplexity = _perplexities(comparison, kb)
    with _timed(seconds, "editing"):
        edit = _on_copies(comparison, edit_facts)
    with _timed(seconds, "forgetting"):
        forget = _on_copies(comparison, forget_facts)
    if records is not None:
        _write_records(records, completions)
    results: dict[str, dict[str, Any]] = {arm: result.figures() for arm, result in completions.items()}
    results["lmlm"]["db_off"] = results.pop("db_off")["all"]
    results["lmlm"]["perplexity"] = lmlm_perplexity
    results["standard"]["perplexity"] = standard_perplexity["all"]["perplexity"]
    results["standard"]["perplexity_by_group"] = standard_perplexity
    return results | {"edit": edit, "forget": forget, "seconds": seconds}


def _completions(comparison: Comparison, kb: KnowledgeBase) -> dict[str, CompletionResult]:
    off = comparison.settings.model_copy(update={"lookups": False})
    lmlm, standard = _engine(comparison.lmlm, kb), _engine(comparison.standard, kb)
    runs = {"lmlm": (lmlm, comparison.settings), "db_off": (lmlm, off), "standard": (standard, off)}
    return {
        name: complete(engine, comparison.corpus.probes, settings, progress=comparison.progress)
        for name, (engine, settings) in runs.items()
    }


def _perplexities(comparison: Comparison, kb: KnowledgeBase) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of both arms: over all held-out documents at the top (LMLM) or under "all" (standard), and by group."""
    groups = comparison.corpus.heldout
    everything = list(chain.from_iterable(groups.values()))
    engine = _engine(comparison.lmlm, kb)

    def of_lmlm(documents: list[Any]) -> PerplexityResult:
        result = perplexity(*_parts(comparison.lmlm), documents, "lmlm", progress=comparison.progress)
        dynamic = dynamic_perplexity(
            engine,
            documents,
            comparison.settings,
            sample=comparison.sample,
            seed=comparison.seed,
            progress=comparison.progress,
        )
        return replace(result, dynamic=dynamic)

    lmlm = of_lmlm(everything).figures() | {group: of_lmlm(each).figures() for group, each in groups.items()}
    standard = {
        group: perplexity(*_parts(comparison.standard), each, "standard", progress=comparison.progress).figures()
        for group, each in [("all", everything), *groups.items()]
    }
    return lmlm, standard


def _on_copies(comparison: Comparison, task: Callable[..., Any]) -> dict[str, Any]:
    """An evaluation that changes facts, on a copy of the knowledge base."""
    result = task(
        lambda kb: _engine(comparison.lmlm, kb),
        comparison.kb_path,
        comparison.corpus.probes,
        comparison.settings,
        number=comparison.changes,
        seed=comparison.seed,
        progress=comparison.progress,
    )
    figures: dict[str, Any] = result.figures()
    return figures


def _engine(checkpoint: Checkpoint, kb: KnowledgeBase) -> Engine:
    return Engine(checkpoint.model, checkpoint.vocabulary, kb, batch_size=64)


def _parts(checkpoint: Checkpoint) -> tuple[Any, Any]:
    return checkpoint.model, checkpoint.vocabulary


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
