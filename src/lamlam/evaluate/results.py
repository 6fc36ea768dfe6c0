"""Figures with their counts and uncertainty, and the file `results.json` that keeps them with their provenance."""

import json
import math
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from lamlam import __version__
from lamlam.corpus.lines import read_object
from lamlam.files import atomic_write

__all__ = [
    "EXAMPLES",
    "RESULTS_FILE",
    "Mean",
    "Proportion",
    "Provenance",
    "Result",
    "append_results",
    "clustered",
    "format_number",
    "measure",
    "plain_numbers",
    "read_results",
    "summarise",
    "with_detail",
]

RESULTS_FILE = "results.json"
EXAMPLES = 3
"""How many examples the figures of a result hold."""

_LIBRARIES = ("torch", "transformers", "tokenizers", "numpy")
_Z95 = 1.959963984540054
"""How many standard deviations to either side cover 95% of a normal distribution."""

_T95 = (12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157)
"""How many standard errors to either side cover 95% of Student's t distribution, with 1, 2, ... degrees of freedom."""

_Case = TypeVar("_Case")


@dataclass(frozen=True, slots=True)
class Proportion:
    """`hits` of `n` cases. A proportion of no cases is NaN in Python and null in JSON, never a silent 0."""

    hits: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.n:
            raise ValueError(f"{self.hits} hits of {self.n} cases")

    @classmethod
    def of(cls, outcomes: Iterable[bool]) -> "Proportion":
        outcomes = list(outcomes)
        return cls(sum(outcomes), len(outcomes))

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% Wilson score interval (Wilson 1927, equation for the binomial proportion); (0, 1) for no cases."""
        if not self.n:
            return 0.0, 1.0
        value, z2 = self.value, _Z95**2
        centre = value + z2 / (2 * self.n)
        spread = _Z95 * math.sqrt(value * (1 - value) / self.n + z2 / (4 * self.n**2))
        scale = 1 + z2 / self.n
        return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)

    def as_json(self, name: str) -> dict[str, Any]:
        """The proportion under `name`, with its counts and interval beside it."""
        low, high = self.interval
        value = round(self.value, 6) if self.n else None
        return {name: value, "hits": self.hits, "n": self.n, "interval": [round(low, 6), round(high, 6)]}


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of `n` values and its standard error. Unknown ones are NaN in Python and null in JSON."""

    value: float
    error: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Mean":
        """The mean of independent values; a single value has no standard error."""
        return clustered([[value] for value in values])

    def as_json(self, name: str) -> dict[str, Any]:
        """The mean under `name`, with `n` and the 95% interval of the normal distribution around it."""
        spread = _Z95 * self.error
        interval = None if math.isnan(spread) else [round(self.value - spread, 6), round(self.value + spread, 6)]
        return {name: None if math.isnan(self.value) else round(self.value, 6), "n": self.n, "interval": interval}

    def student_interval(self) -> tuple[float, float] | None:
        """The 95% interval of Student's t with n - 1 degrees of freedom, for a few independent values, such as seeds.

        None for fewer than two values. Raises `ValueError` for more than ten: better methods exist for that many.
        """
        if self.n < 2:
            return None
        if self.n - 1 > len(_T95):
            raise ValueError(f"an interval of Student's t is for ten values at most, not for {self.n}")
        spread = _T95[self.n - 2] * self.error
        return self.value - spread, self.value + spread


def clustered(groups: Iterable[Sequence[float]]) -> Mean:
    """Return the mean of all values; its standard error treats the groups, not the values, as independent.

    With m the mean of the N values in C groups: sqrt(C/(C-1) * sum over groups of (sum over the group of x - m)^2) / N.
    """
    groups = [group for group in groups if group]
    number = sum(map(len, groups))
    if not number:
        return Mean(math.nan, math.nan, 0)
    mean = math.fsum(x for group in groups for x in group) / number
    if len(groups) < 2:
        return Mean(mean, math.nan, number)
    squares = math.fsum(math.fsum(x - mean for x in group) ** 2 for group in groups)
    return Mean(mean, math.sqrt(len(groups) / (len(groups) - 1) * squares) / number, number)


def measure(cases: Iterable[_Case], measures: Mapping[str, Callable[[_Case], bool | None]]) -> dict[str, Proportion]:
    """Apply named measures to cases; a measure returns None for a case that it doesn't count."""
    cases = list(cases)
    return {
        name: Proportion.of(hit for case in cases if (hit := hits(case)) is not None) for name, hits in measures.items()
    }


def with_detail(proportions: Mapping[str, Proportion]) -> dict[str, Any]:
    """Proportions as plain numbers by name, with counts and intervals under `detail`."""
    detail = {name: proportion.as_json("share") for name, proportion in proportions.items()}
    return {name: figures["share"] for name, figures in detail.items()} | {"detail": detail}


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured: proportions by name, other figures, examples, and parts with figures of their own.

    `rows` are the cases that the figures were computed from; they are not written to `results.json`.
    """

    task: str
    proportions: Mapping[str, Proportion] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    examples: Sequence[Mapping[str, Any]] | None = None
    parts: Mapping[str, "Result"] = field(default_factory=dict)
    rows: Sequence[Any] = ()

    @classmethod
    def skipped(cls, task: str, reason: str) -> "Result":
        """The result of a task that could not be measured."""
        return cls(task, more={"skipped": reason})

    def figures(self) -> dict[str, Any]:
        """Everything but the rows, as JSON."""
        figures = with_detail(self.proportions) if self.proportions else {}
        figures |= dict(self.more) | {name: part.figures() for name, part in self.parts.items()}
        return (
            figures if self.examples is None else figures | {"examples": [dict(example) for example in self.examples]}
        )


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a figure depends on besides the checkpoint: seed, settings, the knowledge base's digest, the code."""

    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    kb_digest: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "settings": dict(self.settings),
            "knowledge_base": self.kb_digest,
            "code": _code_revision(),
            "versions": {"python": platform.python_version()} | _library_versions(),
        }


def append_results(
    run: str | Path,
    results: Mapping[str, Result],
    provenance: Provenance | None = None,
    more: Mapping[str, Any] | None = None,
) -> Path:
    """Put results into `run`/results.json under their names, all at once, beside those of other tasks.

    A result of the same name is replaced; `more` is written into each entry. Raises `InputError` when the file there is
    not a JSON object.
    """
    path = Path(run) / RESULTS_FILE
    merged = read_results(run)
    common = dict(more or {}) | (provenance or Provenance()).as_json()
    merged |= {name: {"task": result.task, "figures": result.figures()} | common for name, result in results.items()}
    text = json.dumps(merged, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text + "\n")
    return path


def read_results(run: str | Path) -> dict[str, Any]:
    """Read `run`/results.json; empty if there is no such file. Raises `InputError` unless it holds a JSON object."""
    path = Path(run) / RESULTS_FILE
    return dict(read_object(path).value) if path.exists() else {}


def plain_numbers(figures: Mapping[str, Any], above: str = "", *, detail: bool = True) -> list[tuple[str, int | float]]:
    """List the plain numbers of a result in their order, nested names joined by dots; lists are left out.

    Without `detail`, the counts and intervals of proportions are left out too.
    """
    rows: list[tuple[str, int | float]] = []
    for name, value in figures.items():
        if not detail and (name == "detail" or name.endswith("_detail")):
            continue
        if isinstance(value, Mapping):
            rows += plain_numbers(value, f"{above}{name}.", detail=detail)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            rows.append((above + name, value))
    return rows


def format_number(number: int | float) -> str:
    """A figure as it is shown: counts whole, everything else with four decimals."""
    return f"{number:,}" if isinstance(number, int) else f"{number:.4f}"


def summarise(
    arms: Mapping[str, Mapping[str, Mapping[str, Any]]], seconds: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Nest the figures of both arms as the report reads them: `lmlm.seen.accuracy`, `lmlm.perplexity.static`, ...

    `arms` holds, for each arm, the figures of its tasks by name. Figures that were not measured, or were skipped, are
    left out. `standard.perplexity` is a number; its details are in `standard.perplexity_detail`.
    """
    measured = {
        arm: {name: figures for name, figures in tasks.items() if "skipped" not in figures}
        for arm, tasks in arms.items()
    }
    summary: dict[str, Any] = {arm: dict(tasks.get("completion", {})) for arm, tasks in measured.items()}
    for arm, tasks in measured.items():
        if "completion_db_off" in tasks:
            off = dict(tasks["completion_db_off"])
            summary[arm]["db_off"] = off.pop("all", {}) | off
        if "perplexity" in tasks:
            groups = {name: figures for name, figures in tasks.items() if name.startswith("perplexity_")}
            by_group = {name.removeprefix("perplexity_"): figures for name, figures in groups.items()}
            whole = {**tasks["perplexity"], "by_group": by_group}
            standard = {"perplexity": whole.get("perplexity"), "perplexity_detail": whole}
            summary[arm] |= standard if arm == "standard" else {"perplexity": whole}
    lmlm = measured.get("lmlm", {})
    summary |= {key: dict(lmlm[name]) for key, name in (("edit", "editing"), ("forget", "forgetting")) if name in lmlm}
    if seconds is not None:
        summary["seconds"] = {name: round(value, 1) for name, value in seconds.items()}
    return summary


def _code_revision() -> str:
    """The commit of the code, with "+" if the working tree differs; the package's version outside of git."""
    here = Path(__file__).resolve()
    describe = ["describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    tracked = ["ls-files", "--error-unmatch", here.name]
    try:
        described, _ = (
            subprocess.run(
                ["git", *command], cwd=here.parent, capture_output=True, text=True, timeout=10, check=True
            ).stdout.strip()
            for command in (describe, tracked)
        )
    except (OSError, subprocess.SubprocessError):
        return __version__
    return described or __version__


def _library_versions() -> dict[str, str]:
    return {"lamlam": __version__} | {name: version(name) for name in _LIBRARIES if find_spec(name)}
