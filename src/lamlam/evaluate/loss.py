"""A sum of log-probabilities and the number of tokens it runs over: the two are never parted."""

import math
from dataclasses import dataclass

__all__ = ["Loss"]


@dataclass(frozen=True, slots=True)
class Loss:
    """Minus the sum of log p, in nats, over a number of tokens."""

    total: float = 0.0
    tokens: int = 0

    def __add__(self, other: "Loss") -> "Loss":
        return Loss(self.total + other.total, self.tokens + other.tokens)

    @property
    def mean(self) -> float:
        """Nats a token; NaN for no tokens."""
        return self.total / self.tokens if self.tokens else math.nan
