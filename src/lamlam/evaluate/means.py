"""A mean that carries its count and its uncertainty, as `Share` does for counts of hits."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lamlam.evaluate.results import Z95

__all__ = ["Mean", "clustered"]


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of `n` values and its standard error. Both are NaN where they are not known, and null in JSON."""

    value: float
    error: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Mean":
        """Of independent values; a single one has no standard error."""
        return clustered([[value] for value in values])

    def as_json(self, name: str) -> dict[str, Any]:
        """The mean under `name`, with `n` and the 95% interval of the normal distribution around it."""
        spread = Z95 * self.error
        interval = None if math.isnan(spread) else [round(self.value - spread, 6), round(self.value + spread, 6)]
        return {name: None if math.isnan(self.value) else round(self.value, 6), "n": self.n, "interval": interval}


def clustered(groups: Iterable[Sequence[float]]) -> Mean:
    """The mean of all values, with a standard error that takes groups, and not values, for independent.

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
