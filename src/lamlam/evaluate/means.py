"""A mean that carries its count and its uncertainty, as `Share` does for counts of hits."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lamlam.evaluate.results import Z95

__all__ = ["Mean", "clustered"]

_T95 = (12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157)
"""How many standard errors to either side hold 95% of Student's t distribution, with 1, 2, ... degrees of freedom."""


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

    def student_interval(self) -> tuple[float, float] | None:
        """The 95% interval of Student's t with n - 1 degrees of freedom, for a few independent values, such as seeds.

        None for fewer than two. Raises `ValueError` for more than ten: there are better ways to treat so many.
        """
        if self.n < 2:
            return None
        if self.n - 1 > len(_T95):
            raise ValueError(f"an interval of Student's t is for ten values at most, not for {self.n}")
        spread = _T95[self.n - 2] * self.error
        return self.value - spread, self.value + spread


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
