"""How likely two names of relations mean the same: a small classifier over `kb.matching.features`.

It is a sum of shallow decision trees, written out as numbers; `kb.matching.training` makes it. Most features may move
the answer one way only: more in common never makes two names less alike.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import numpy as np

from lamlam.errors import InputError
from lamlam.kb.matching.features import FEATURES, Evidence, features

__all__ = ["Matcher", "default_matcher", "stored_matcher"]

# What no likeness outweighs: opposites that meet, a qualifier on one side alone, other numbers or ordinals.
_VETOES = [FEATURES.index(name) for name in ("opposed", "qualified", "counts_differ")]


@dataclass(frozen=True, slots=True)
class Matcher:
    """Nodes of all trees, [N] each: the feature asked about, its threshold, where to go, and a leaf's value."""

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    bias: float

    @classmethod
    def load(cls, path: str | Path | None = None) -> Self:
        """The classifier of a file, or the one that comes along. Raises `InputError` when the file is none."""
        source = files("lamlam.kb.matching").joinpath("matcher.json") if path is None else Path(path)
        try:
            text = source.read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", path=path) from error
        except UnicodeDecodeError as error:
            raise InputError("is not UTF-8", path=path) from error
        try:
            return cls.read(text)
        except InputError as error:
            raise InputError(error.reason, path=path) from error

    @classmethod
    def read(cls, text: str) -> Self:
        """A classifier as it is written out. Raises `InputError` when the text is none."""
        try:
            return cls._read(json.loads(text))
        except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            raise InputError("is no classifier of relations") from error

    @classmethod
    def _read(cls, stored: dict[str, Any]) -> Self:
        if tuple(stored["features"]) != FEATURES:
            raise ValueError("other features")
        nodes = np.array([node for tree in stored["trees"] for node in tree], np.float64)
        sizes = [len(tree) for tree in stored["trees"]]
        roots = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
        start = np.repeat(roots, sizes)
        feature = nodes[:, 0].astype(np.int64)
        left, right = (start + nodes[:, at].astype(np.int64) for at in (2, 3))
        here, ends = np.arange(len(nodes)), np.repeat(roots + sizes, sizes)
        inner = feature >= 0
        forward = (left > here) & (right > here) & (left < ends) & (right < ends)
        if feature.max() >= len(FEATURES) or not forward[inner].all() or not np.isfinite(nodes).all():
            raise ValueError("a node points nowhere")
        return cls(roots, feature, nodes[:, 1], left, right, nodes[:, 4], float(stored["bias"]))

    def likelihoods(self, asked: str, held: Sequence[tuple[str, Evidence]]) -> list[float]:
        """For each relation that is held, with its evidence, how likely it is the one asked for."""
        if not held:
            return []
        rows = np.array([features(asked, name, evidence) for name, evidence in held])
        vetoed = rows[:, _VETOES].any(axis=1)
        return [float(each) for each in np.where(vetoed, 0.0, self.predict(rows))]

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Probabilities [R] of rows of features [R, F]."""
        at = np.broadcast_to(self.roots, (len(rows), len(self.roots))).copy()  # [R, T]
        lines = np.arange(len(rows))[:, None]
        while (self.feature[at] >= 0).any():
            inner = self.feature[at] >= 0
            lower = rows[lines, np.maximum(self.feature[at], 0)] <= self.threshold[at]
            at = np.where(inner, np.where(lower, self.left[at], self.right[at]), at)
        scores = self.bias + self.value[at].sum(axis=1)
        result: np.ndarray = 1.0 / (1.0 + np.exp(-scores))
        return result


@lru_cache(maxsize=1)
def default_matcher() -> Matcher:
    """The classifier that comes along; read once."""
    return Matcher.load()


@lru_cache(maxsize=4)
def stored_matcher(text: str | None) -> Matcher:
    """The classifier that a knowledge base keeps; where it keeps none, the one that comes along."""
    return default_matcher() if text is None else Matcher.read(text)
