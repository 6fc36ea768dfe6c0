"""What a report is made of: results, curves and traces, read from a run's folder.

RUN/results.json             figures of both arms, nested: lmlm.seen.accuracy, standard.perplexity, edit.success, ...
RUN/{lmlm,standard}/metrics.jsonl   one JSON object per line; those with "group" are measured on held-out documents
RUN/{lmlm,standard}/results.json    what `lamlam evaluate` measured of each arm; in RUN itself where RUN is one run
RUN/traces.json              generated texts with the facts behind them
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamlam.errors import InputError
from lamlam.evaluate.results import RESULTS_FILE, read_results, summarise
from lamlam.report.trace import Trace, read_traces

__all__ = ["Curve", "RunResults"]

Curve = list[tuple[float, float]]
"""Points (tokens seen, figure)."""

_ARMS = ("lmlm", "standard")


@dataclass(frozen=True, slots=True)
class RunResults:
    """A run's figures, the metrics logged while training its arms, its traces, and the results of each arm's tasks.

    `tasks` holds, for each arm, the entries of its own results.json, as `lamlam evaluate` writes them.
    """

    results: dict[str, Any]
    metrics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    traces: list[Trace] = field(default_factory=list)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: str | Path, standard: str | Path | None = None) -> "RunResults":
        """Read a folder with runs of both arms, or one run and, if given, the `standard` one beside it.

        Raises `InputError` when there are no results or a file is broken.
        """
        folder = Path(folder)
        found = read_results(folder)
        whole = any(arm in found for arm in _ARMS)
        if whole or any((folder / arm).is_dir() for arm in _ARMS):
            runs = {arm: folder / arm for arm in _ARMS}
        else:
            runs = {_arm_of(found): folder} | ({} if standard is None else {"standard": Path(standard)})
        tasks = {arm: _entries(run) for arm, run in runs.items()}
        figures = {arm: {name: entry["figures"] for name, entry in own.items()} for arm, own in tasks.items()}
        results = found if whole else summarise(figures)
        if not found and not any(tasks.values()):
            raise InputError("holds no results", path=folder)
        metrics = {arm: _lines(run / "metrics.jsonl") for arm, run in runs.items()}
        return cls(results, metrics, read_traces(folder), tasks)

    def measured(self, arm: str, task: str, *path: str) -> Any:
        """A result of `lamlam evaluate`, or the figure at a path in it; None if it is missing or was skipped."""
        found = self.tasks.get(arm, {}).get(task, {}).get("figures")
        if not found or "skipped" in found:
            return None
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def all_tasks(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Arm, name and entry of everything that was measured."""
        return [(arm, name, entry) for arm, entries in self.tasks.items() for name, entry in entries.items()]

    def figure(self, path: str) -> Any:
        """The figure at a dotted path; None if the run has no such figure."""
        found: Any = self.results
        for key in path.split("."):
            if not isinstance(found, dict) or key not in found:
                return None
            found = found[key]
        return found

    def number(self, path: str) -> float | None:
        """The figure at a dotted path, if it is a number."""
        found = self.figure(path)
        return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None

    def curve(self, arm: str, group: str, name: str) -> Curve:
        """A held-out figure of an arm over training."""
        lines = (line for line in self.metrics.get(arm, ()) if line.get("group") == group and name in line)
        return [(float(line["tokens"]), float(line[name])) for line in lines]

    def groups(self) -> list[str]:
        """The groups of held-out documents that were measured during training, "seen" first."""
        return sorted({str(line["group"]) for lines in self.metrics.values() for line in lines if "group" in line})


def _entries(run: Path) -> dict[str, Any]:
    """The results that `lamlam evaluate` wrote for a run, by name."""
    if not (run / RESULTS_FILE).exists():
        return {}
    return {name: entry for name, entry in read_results(run).items() if isinstance(entry, dict) and "figures" in entry}


def _arm_of(results: dict[str, Any]) -> str:
    """The arm whose results a run holds."""
    arms = {(entry.get("settings") or {}).get("arm") for entry in results.values() if isinstance(entry, dict)}
    return "standard" if arms == {"standard"} else "lmlm"


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"is not JSON ({error.msg})", path=path, line=number) from error
        if not isinstance(entry, dict) or not isinstance(entry.get("tokens"), int | float):
            raise InputError("expected an object with a number", path=path, line=number, field="tokens")
        lines.append(entry)
    return lines
