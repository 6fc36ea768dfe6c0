"""Figures with counts and 95% intervals, by bootstrapping over documents: calls of one document resemble each other."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Figure", "Measure", "Rate", "resamples"]

_LOW, _HIGH = 2.5, 97.5


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and its 95% interval; all are NaN (null in JSON) if there is nothing to divide by."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, Any]:
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(number) else round(number, 4) for name, number in numbers.items()}


@dataclass(frozen=True, slots=True)
class Measure:
    """How many predictions were right, out of how many, and how many there were to find."""

    hits: int
    predicted: int
    gold: int
    precision: Figure
    recall: Figure
    f1: Figure

    @classmethod
    def of(cls, counts: np.ndarray, drawn: np.ndarray) -> "Measure":
        """Make a measure from hits, predicted and gold per document [D, 3], and how often each was drawn [S, D]."""
        hits, predicted, gold = (int(total) for total in counts.sum(axis=0))
        precision, recall = _figure(counts[:, 0], counts[:, 1], drawn), _figure(counts[:, 0], counts[:, 2], drawn)
        f1 = _figure(2 * counts[:, 0], counts[:, 1] + counts[:, 2], drawn)
        return cls(hits, predicted, gold, precision, recall, f1)

    def as_json(self) -> dict[str, Any]:
        figures = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        counts = {"hits": self.hits, "predicted": self.predicted, "gold": self.gold}
        return counts | {name: figure.as_json() for name, figure in figures.items()}


@dataclass(frozen=True, slots=True)
class Rate:
    """A count, what it is out of (or per), and their ratio."""

    count: int
    of: int
    figure: Figure

    @classmethod
    def of_counts(cls, counts: np.ndarray, drawn: np.ndarray, scale: float = 1.0) -> "Rate":
        """Make a rate from count and whole per document [D, 2], and how often each was drawn [S, D]."""
        count, of = (int(total) for total in counts.sum(axis=0))
        return cls(count, of, _figure(scale * counts[:, 0], counts[:, 1], drawn))

    def as_json(self) -> dict[str, Any]:
        return {"count": self.count, "of": self.of} | self.figure.as_json()


def resamples(documents: int, samples: int, seed: int) -> np.ndarray:
    """Return how often each document is drawn in each sample [S, D]."""
    return np.random.default_rng(seed).multinomial(documents, np.full(documents, 1 / documents), size=samples)


def _figure(above: np.ndarray, below: np.ndarray, drawn: np.ndarray) -> Figure:
    value = _divided(np.asarray([above.sum()]), np.asarray([below.sum()]))[0]
    sampled = _divided(drawn @ above, drawn @ below)
    sampled = sampled[~np.isnan(sampled)]
    low, high = np.percentile(sampled, [_LOW, _HIGH]) if len(sampled) else (math.nan, math.nan)
    return Figure(float(value), float(low), float(high))


def _divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), math.nan), where=below != 0)
