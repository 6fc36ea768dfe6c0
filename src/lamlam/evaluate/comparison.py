"""Both arms side by side: every figure of a limited-memory model beside those of the standard model."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamlam.evaluate.completion import CompletionResult
from lamlam.evaluate.editing import NothingToChange
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.summary import summarise
from lamlam.evaluate.tasks import TASKS, run_task
from lamlam.files import atomic_write

__all__ = ["Comparison"]

_LOOP = ("completion", "perplexity", "editing", "forgetting")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The two arms, each with what it is asked; edits and forgetting are for the LMLM alone."""

    lmlm: Evaluation
    standard: Evaluation

    def run(self, records: Path | None = None) -> dict[str, Any]:
        """All figures, nested by arm as `summarise` names them, and the seconds that each task took.

        A model that answers nothing right has no figures of edits and forgetting.

        What was generated for each probe goes to the file `records` (JSON Lines), where one is named.
        """
        seconds: dict[str, float] = {}
        lmlm: dict[str, Any] = {}
        standard: dict[str, Any] = {}
        for task in _LOOP:
            with _timed(seconds, task), suppress(NothingToChange):
                lmlm |= run_task(task, self.lmlm)
                if "standard" in TASKS[task].arms:
                    standard |= run_task(task, self.standard)
        if records is not None:
            off, plain = lmlm["completion_db_off"], standard["completion"]
            _write_records(records, {"lmlm": lmlm["completion"], "db_off": off, "standard": plain})
        arms = {"lmlm": lmlm, "standard": standard}
        figures = {arm: {name: each.figures() for name, each in results.items()} for arm, results in arms.items()}
        return summarise(figures, seconds)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[stage] = round(time.monotonic() - started, 1)


def _write_records(path: Path, completions: Mapping[str, CompletionResult]) -> None:
    with atomic_write(path) as out:
        for run, result in completions.items():
            for record in result.records:
                out.write(json.dumps({"run": run} | record.as_json(), ensure_ascii=False) + "\n")
