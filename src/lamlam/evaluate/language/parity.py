"""Parity: whether two arms judge language equally well, from what either wrote of the same minimal pairs.

Each pair gives a difference: 1 where the first arm alone is right, -1 where the second alone is, else 0. Their mean is
the difference of the accuracies. Pairs of a paradigm are made from one template and are no independent evidence, so its
interval takes the paradigms for independent (`means.clustered`). Arms are at parity within a margin when the whole
interval lies within it: to find no difference where there are few pairs is not to have shown that there is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lamlam.errors import InputError
from lamlam.evaluate.means import Mean, clustered
from lamlam.evaluate.results import append_results, read_results

__all__ = ["MARGIN", "Parity", "ParityResult", "parity", "write_parity"]

MARGIN = 0.02
"""The difference in accuracy that is taken for none: two points."""


@dataclass(frozen=True, slots=True)
class Parity:
    """`difference` of the accuracies, the first arm's less the second's; the pairs that one of them alone has right."""

    difference: Mean
    first_alone: int
    second_alone: int

    def within(self, margin: float = MARGIN) -> bool:
        """Whether the interval of the difference lies within the margin on both sides."""
        interval = self.difference.as_json("difference")["interval"]
        return interval is not None and -margin <= interval[0] and interval[1] <= margin

    def figures(self) -> dict[str, Any]:
        counts = {"first_alone": self.first_alone, "second_alone": self.second_alone}
        return self.difference.as_json("difference") | counts | {"margin": MARGIN, "parity": self.within()}


def parity(first: Mapping[str, Any], second: Mapping[str, Any], log_p: Literal["raw", "text"] = "text") -> Parity:
    """The parity of two arms from their figures of `blimp`, as they stand in their results.

    Raises `InputError` where they did not judge the same pairs.
    """
    one, other = _outcomes(first, log_p), _outcomes(second, log_p)
    if {name: len(pairs) for name, pairs in one.items()} != {name: len(pairs) for name, pairs in other.items()}:
        raise InputError("the two arms judged different pairs: measure both in the same way", field="by_paradigm")
    groups = [[int(a) - int(b) for a, b in zip(one[name], other[name], strict=True)] for name in one]
    each = [difference for group in groups for difference in group]
    return Parity(clustered(groups), each.count(1), each.count(-1))


@dataclass(frozen=True, slots=True)
class ParityResult:
    """The parity of two arms by either log p."""

    by_log_p: Mapping[str, Parity]
    task: str = "parity"

    def figures(self) -> dict[str, Any]:
        return {name: each.figures() for name, each in self.by_log_p.items()}


def write_parity(first: str | Path, second: str | Path) -> ParityResult | None:
    """Compare the `blimp` of two runs' results, and write `parity` into those of the first.

    None where one of them has none, or they judged different pairs.
    """
    measured = [read_results(run).get("blimp", {}).get("figures", {}) for run in (first, second)]
    if not all("by_paradigm" in figures for figures in measured):
        return None
    one, other = measured
    try:
        result = ParityResult({"raw": parity(one, other, "raw"), "text": parity(one, other, "text")})
    except InputError:
        return None
    append_results(first, {"parity": result})
    return result


def _outcomes(figures: Mapping[str, Any], log_p: str) -> dict[str, str]:
    return {row["paradigm"]: row[log_p] for row in figures["by_paradigm"]}
