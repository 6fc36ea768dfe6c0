"""Many tasks on one run, one after another: what is measured already is not measured again.

A task's results go into the run's `results.json` together, as soon as they are there, with a key that tells what they
depend on: checkpoint, knowledge base, settings and seed. A suite that was cut off goes on with the first task whose
results are not there under that key.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamlam import __version__
from lamlam.evaluate.editing import NothingToChange
from lamlam.evaluate.evaluation import Evaluation, MissingData, Unfit
from lamlam.evaluate.results import Provenance, Result, append_results, read_results
from lamlam.evaluate.tasks import TASKS, run_task
from lamlam.kb.store import KnowledgeBase
from lamlam.model.weights import weight_digests

__all__ = ["Outcome", "Skipped", "Suite"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A task that had no ground to stand on, and why."""

    task: str
    reason: str

    def figures(self) -> dict[str, Any]:
        return {"skipped": self.reason}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task: its results by name. `seconds` is None where they had been measured before."""

    task: str
    results: dict[str, dict[str, Any]]
    seconds: float | None = None


class Suite:
    """The tasks of one evaluation, written into the `results.json` of `folder`."""

    def __init__(self, evaluation: Evaluation, folder: str | Path) -> None:
        self.evaluation, self.folder = evaluation, Path(folder)
        with KnowledgeBase.open(evaluation.kb_path) as kb:
            self._kb_digest = kb.digest()
        self._key = self._depends()

    def tasks(self) -> list[str]:
        """All tasks that are for this arm."""
        return [name for name, task in TASKS.items() if self.evaluation.arm in task.arms]

    def run(self, tasks: Sequence[str], *, again: bool = False) -> Iterator[Outcome]:
        """Each task's outcome as it is there; `again` measures what is there already once more.

        A task that does not fit the run, or whose data is missing, yields `Skipped`; what else is wrong is raised.
        """
        for task in tasks:
            before = {} if again else self._measured(task)
            yield Outcome(task, before) if before else self._measure(task)

    def _measure(self, task: str) -> Outcome:
        started = time.monotonic()
        results: dict[str, Result]
        try:
            results = run_task(task, self.evaluation)
        except (MissingData, Unfit, NothingToChange) as error:
            results = {task: Skipped(task, str(error))}
        seconds = round(time.monotonic() - started, 1)
        provenance = Provenance(self.evaluation.seed, self._settings(), self._kb_digest)
        append_results(self.folder, results, provenance, {"of": task, "key": self._key, "seconds": seconds})
        return Outcome(task, {name: result.figures() for name, result in results.items()}, seconds)

    def _measured(self, task: str) -> dict[str, dict[str, Any]]:
        return {
            name: entry["figures"]
            for name, entry in read_results(self.folder).items()
            if isinstance(entry, dict)
            and (entry.get("of"), entry.get("key")) == (task, self._key)
            and "skipped" not in entry["figures"]
        }

    def _settings(self) -> dict[str, Any]:
        asked = self.evaluation
        own: dict[str, Any] = {"arm": asked.arm, "quick": asked.quick, "facts": asked.facts, "sample": asked.sample}
        if asked.reference is not None:
            own["reference"] = str(asked.reference)
        if asked.judge is not None:
            own["judge"] = asked.judge.model
        return own | {"decoding": asked.settings.model_dump()}

    def _depends(self) -> str:
        """What results depend on, as one short digest."""
        depends = {
            "version": __version__,
            "weights": weight_digests(self.folder),
            "knowledge_base": self._kb_digest,
            "seed": self.evaluation.seed,
            "settings": self._settings(),
        }
        return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16]
