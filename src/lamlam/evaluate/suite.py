"""Run tasks: many on one run, resumable, with results in its `results.json`; or the loop's on both arms of a demo."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamlam import __version__
from lamlam.evaluate.evaluation import Evaluation, MissingData, NotApplicable, NothingToChange
from lamlam.evaluate.results import Provenance, Result, append_results, read_results, summarise
from lamlam.evaluate.tasks import LOOP, TASKS, run_task
from lamlam.files import atomic_write
from lamlam.kb.store import KnowledgeBase
from lamlam.model.weights import weight_digests

__all__ = ["Comparison", "Outcome", "Suite"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of a task by name. `seconds` is None if they had been measured before."""

    task: str
    results: dict[str, dict[str, Any]]
    seconds: float | None = None


class Suite:
    """The tasks of one evaluation, written to the `results.json` of `folder`.

    A task's results are written together as soon as it ends, with a key: a digest of the checkpoint, knowledge base,
    settings and seed they depend on. A suite that was interrupted continues with the first task that has no results
    under its key.
    """

    def __init__(self, evaluation: Evaluation, folder: str | Path) -> None:
        self.evaluation, self.folder = evaluation, Path(folder)
        with KnowledgeBase.open(evaluation.kb_path) as kb:
            self._kb_digest = kb.digest()
        self._key = self._digest()

    def tasks(self) -> list[str]:
        """The names of all tasks for this arm."""
        return [name for name, task in TASKS.items() if self.evaluation.arm in task.arms]

    def run(self, tasks: Sequence[str], *, again: bool = False) -> Iterator[Outcome]:
        """Yield the outcome of each task as soon as it is measured; with `again`, measure it even if it was before.

        A task that doesn't apply to the run, or whose data is missing, is skipped; other errors are raised.
        """
        for task in tasks:
            before = {} if again else self._measured(task)
            yield Outcome(task, before) if before else self._measure(task)

    def _measure(self, task: str) -> Outcome:
        started = time.monotonic()
        try:
            results = run_task(task, self.evaluation)
        except (MissingData, NotApplicable) as error:
            results = {task: Result.skipped(task, str(error))}
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
        evaluation = self.evaluation
        settings: dict[str, Any] = {
            "arm": evaluation.arm,
            "quick": evaluation.quick,
            "facts": evaluation.facts,
            "sample": evaluation.sample,
        }
        if evaluation.reference is not None:
            settings["reference"] = str(evaluation.reference)
        if evaluation.judge is not None:
            settings["judge"] = evaluation.judge.model
        return settings | {"decoding": evaluation.settings.model_dump()}

    def _digest(self) -> str:
        """A short digest of what results depend on."""
        depends = {
            "version": __version__,
            "weights": weight_digests(self.folder),
            "knowledge_base": self._kb_digest,
            "seed": self.evaluation.seed,
            "settings": self._settings(),
        }
        return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both arms of a demo, measured by the tasks of the loop; edits and forgetting are for the LMLM alone."""

    lmlm: Evaluation
    standard: Evaluation

    def run(self, records: Path | None = None) -> dict[str, Any]:
        """Return all figures, nested by arm as `summarise` names them, and the seconds that each task took.

        A model that answers nothing right has no figures of edits and forgetting. What was generated for each probe is
        written to the file `records` (JSON Lines), if given.
        """
        seconds: dict[str, float] = {}
        lmlm: dict[str, Result] = {}
        standard: dict[str, Result] = {}
        for task in LOOP:
            started = time.monotonic()
            with suppress(NothingToChange):
                lmlm |= run_task(task, self.lmlm)
                if "standard" in TASKS[task].arms:
                    standard |= run_task(task, self.standard)
            seconds[task] = round(time.monotonic() - started, 1)
        if records is not None:
            runs = {"lmlm": lmlm["completion"], "db_off": lmlm["completion_db_off"], "standard": standard["completion"]}
            with atomic_write(records) as out:
                for run, result in runs.items():
                    for record in result.rows:
                        out.write(json.dumps({"run": run} | record.as_json(), ensure_ascii=False) + "\n")
        arms = {"lmlm": lmlm, "standard": standard}
        return summarise(
            {arm: {name: result.figures() for name, result in results.items()} for arm, results in arms.items()},
            seconds,
        )
