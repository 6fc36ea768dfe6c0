"""Which of an entity's relations a reworded one means: a classifier over `features`, and its thresholds.

The classifier is a sum of shallow decision trees, written out as numbers; `training` makes it. Most features may move
the answer one way only: more in common never makes two names less alike.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import numpy as np

from lamlam.errors import InputError
from lamlam.kb.matching.features import FEATURES, Evidence, features, parse
from lamlam.kb.matching.mining import SEEN_OFTEN
from lamlam.kb.names import normalise
from lamlam.kb.reader import FactReader, NameRow
from lamlam.kb.similarity import relation_key

__all__ = ["Candidates", "MatchSettings", "Matcher", "decide", "default_matcher", "stored_matcher"]

# What no likeness outweighs: opposites that meet, a qualifier on one side alone, other numbers or ordinals.
_VETOES = [FEATURES.index(name) for name in ("opposed", "qualified", "counts_differ")]
_MOST = 64
_SELDOM_SAME, _MOSTLY_SAME = 0.1, 0.9
_VALUES_READ = 4
_VALUES_ELSEWHERE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchSettings:
    """The likeness from which on a lookup is answered, or left open; from 0 to 1. Raises `InputError` naming the
    invalid field.

    The defaults were calibrated on data that no reported figure is measured on (docs/results/resolution.md);
    `training.calibrate` finds those of a knowledge base of one's own, which are then kept in it.
    """

    entity: float = 0.9
    """Spelled less alike, two names are two entities."""
    entity_margin: float = 0.04
    """A second entity this close to the best one leaves the choice open."""
    relation: float = 0.2
    """Less likely of one meaning, two relations are two."""
    relation_margin: float = 0.1
    """A second relation this close to the best one, with other values, leaves the choice open."""
    relation_doubt: float = 0.1
    """From here on a relation is worth naming as what may have been meant."""

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise InputError(f"must be a number from 0 to 1, not {value!r}", field=setting.name)

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `as_json` writes. Raises `InputError` if the text is invalid or names an unknown setting."""
        try:
            stored = json.loads(text)
        except ValueError as error:
            raise InputError(f"the settings of matching are not valid JSON: {error}") from error
        if not isinstance(stored, dict):
            raise InputError("the settings of matching are not an object")
        if unknown := set(stored) - {setting.name for setting in fields(cls)}:
            raise InputError("unknown setting of matching", field=sorted(unknown)[0])
        return cls(**stored)


def decide(
    chances: Sequence[float], agree: Callable[[int, int], bool], settings: MatchSettings
) -> tuple[list[int], bool]:
    """Return the places of the relations that may be meant, the likeliest first, and whether the first is surely meant.

    It is if it is likely enough, and whatever comes close to it agrees with it.
    """
    order = sorted(range(len(chances)), key=lambda at: (-chances[at], at))
    if not order or chances[order[0]] < min(settings.relation, settings.relation_doubt):
        return [], False
    best = order[0]
    close = [at for at in order if chances[at] > chances[best] - settings.relation_margin]
    sure = chances[best] >= settings.relation and all(agree(best, at) for at in close[1:])
    return close, sure


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
        """Load the classifier of a file, or the default one. Raises `InputError` if the file is not one."""
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
        """Read a classifier as it is written out. Raises `InputError` if the text is not one."""
        try:
            return cls._read(json.loads(text))
        except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            raise InputError("is not a classifier of relations") from error

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
        """Return for each relation that is held, with its evidence, how likely it is the one asked for."""
        if not held:
            return []
        rows = np.array([features(asked, name, evidence) for name, evidence in held])
        vetoed = rows[:, _VETOES].any(axis=1)
        return np.where(vetoed, 0.0, self.predict(rows)).tolist()

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities [R] of rows of features [R, F]."""
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
    """Return the default classifier; read once."""
    return Matcher.load()


@lru_cache(maxsize=4)
def stored_matcher(text: str | None) -> Matcher:
    """Return the classifier that a knowledge base keeps, or the default one."""
    return default_matcher() if text is None else Matcher.read(text)


class Candidates:
    """An entity's relations, for one that is asked for; of very many, only those with the most in common."""

    def __init__(self, reader: FactReader, entity: int, held: Sequence[NameRow], asked: str) -> None:
        self._reader, self._entity, self._asked = reader, entity, asked
        self._held = held if len(held) <= _MOST else _likeliest(held, asked)

    def likelihoods(self) -> dict[NameRow, float]:
        """Return how likely each relation is meant: by its name, or by an alias of it."""
        spelled = self._reader.spellings(self._held)
        named = [(name, spelling) for name in self._held for spelling in spelled[name]]
        evidence = self.evidence()
        chances = stored_matcher(self._reader.setting("matcher")).likelihoods(
            self._asked, [(spelling, evidence[n]) for n, spelling in named]
        )
        likely: dict[NameRow, float] = {}
        for (name, _), chance in zip(named, chances, strict=True):
            likely[name] = max(likely.get(name, 0.0), chance)
        return {name: self._seen_together(name, chance) for name, chance in likely.items()}

    def evidence(self) -> dict[NameRow, Evidence]:
        """Return the values of each, and those that the name asked for has with others."""
        usual = self._reader.values_elsewhere(self._known, self._entity, _VALUES_ELSEWHERE)
        return {name: Evidence(self._values.get(name.id, ()), usual) for name in self._held}

    def agree(self, a: NameRow, b: NameRow) -> bool:
        """Whether two of the relations have the same words, or state a value in common: either may be meant then."""
        if relation_key(a.name) == relation_key(b.name):
            return True
        return not {normalise(v) for v in self._values[a.id]}.isdisjoint(normalise(v) for v in self._values[b.id])

    def _seen_together(self, name: NameRow, chance: float) -> float:
        """Correct a likelihood by the entities that have both relations: two that mostly differ are two.

        Two that mostly state the same need less likeness in their names.
        """
        shared, apart = self._pairs.get(name.id, (0, 0))
        if shared + apart < SEEN_OFTEN:
            return chance
        share = shared / (shared + apart)
        if share <= _SELDOM_SAME:
            return 0.0
        return max(chance, share) if share >= _MOSTLY_SAME else chance

    @cached_property
    def _known(self) -> list[int]:
        return [row.id for row in self._reader.relations_spelled(self._asked)]

    @cached_property
    def _pairs(self) -> dict[int, tuple[int, int]]:
        return self._reader.relation_pairs(self._known, [name.id for name in self._held])

    @cached_property
    def _values(self) -> dict[int, list[str]]:
        return self._reader.values_held(self._entity, [name.id for name in self._held], _VALUES_READ)


def _likeliest(held: Sequence[NameRow], asked: str) -> list[NameRow]:
    """Return those that share the most words, or the beginnings of words, with what is asked for."""
    wanted = set(parse(asked).core)
    ranked = sorted(held, key=lambda name: (-len(wanted & set(parse(name.name).core)), name.id))
    return sorted(ranked[:_MOST])
