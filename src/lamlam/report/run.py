"""What a report is made of: results, curves and traces, read from a run's folder.

RUN/results.json             figures of both arms, nested: lmlm.seen.accuracy, standard.perplexity, edit.success, ...
RUN/{lmlm,standard}/metrics.jsonl   one JSON object a line; those with "group" are measured on held-out documents
RUN/traces.json              generated texts with the facts behind them
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamlam.errors import InputError
from lamlam.evaluate.results import read_results
from lamlam.report.trace import Trace, read_traces

__all__ = ["Curve", "RunResults"]

Curve = list[tuple[float, float]]
"""Points (tokens seen, figure)."""

_ARMS = ("lmlm", "standard")


@dataclass(frozen=True, slots=True)
class RunResults:
    """A run's figures, the lines that its arms wrote while training, and its traces."""

    results: dict[str, Any]
    metrics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    traces: list[Trace] = field(default_factory=list)

    @classmethod
    def read(cls, folder: str | Path) -> "RunResults":
        """Raises `InputError` when the results are missing or a file in the folder is broken."""
        folder = Path(folder)
        metrics = {arm: _lines(folder / arm / "metrics.jsonl") for arm in _ARMS}
        return cls(read_results(folder), metrics, read_traces(folder))

    def figure(self, path: str) -> Any:
        """The figure at a dotted path; None where the run has none."""
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
        """How a held-out figure of an arm went over training."""
        lines = (line for line in self.metrics.get(arm, ()) if line.get("group") == group and name in line)
        return [(float(line["tokens"]), float(line[name])) for line in lines]

    def groups(self) -> list[str]:
        """The groups of held-out documents that were measured during training, "seen" first."""
        return sorted({str(line["group"]) for lines in self.metrics.values() for line in lines if "group" in line})


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
