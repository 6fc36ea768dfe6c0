"""Scores an annotator's documents against the gold's, matched by id."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from lamlam.annotate.score.comparison import Comparison, Profile, compare, profile
from lamlam.annotate.score.measure import Measure, Rate, draws
from lamlam.errors import InputError, LamLamError
from lamlam.kb.matching.matcher import MatchSettings
from lamlam.markup import AnnotatedDocument

__all__ = ["Score", "ScoreSettings", "score"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """How relations are compared and intervals drawn. Raises `InputError` naming the field that is bad."""

    threshold: float = MatchSettings().relation
    """From this likeness on two relations mean the same: from it on a lookup is answered."""
    samples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise InputError(f"{self.threshold!r} is no number from 0 to 1", field="threshold")
        if self.samples < 1:
            raise InputError("must be at least 1", field="samples")


@dataclass(frozen=True, slots=True)
class Score:
    """What `score` found: measures against the gold, and what either annotation is like by itself.

    `untouched`: documents whose plain text is the gold's. `density`: calls a hundred words. `unplaced`: calls whose
    value stands nowhere near them. `early`: calls before their entity is known. `missing` documents of the gold have no
    prediction, and their calls count as not found; `beyond` documents are not in the gold, and do not count.
    """

    documents: int
    missing: int
    beyond: int
    measures: dict[str, Measure]
    untouched: Rate
    predicted: dict[str, Rate]
    gold: dict[str, Rate]
    settings: ScoreSettings

    def as_json(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "missing": self.missing,
            "beyond": self.beyond,
            **{name: measure.as_json() for name, measure in self.measures.items()},
            "untouched": self.untouched.as_json(),
            "predicted": {name: rate.as_json() for name, rate in self.predicted.items()},
            "gold": {name: rate.as_json() for name, rate in self.gold.items()},
            "settings": asdict(self.settings),
        }


def score(
    gold: Iterable[AnnotatedDocument], predicted: Iterable[AnnotatedDocument], settings: ScoreSettings | None = None
) -> Score:
    """How good `predicted` is, held against `gold`; which documents of the gold count is the caller's to say.

    Raises `LamLamError` where an id stands twice or the two have no document in common.
    """
    settings = settings or ScoreSettings()
    wanted, given = _by_id(gold, "gold"), _by_id(predicted, "predictions")
    if not wanted.keys() & given.keys():
        raise LamLamError("no document of the gold has its id among the predictions")
    nothing = {id: AnnotatedDocument(id, document.text) for id, document in wanted.items()}
    pairs = [(wanted[id], given.get(id, nothing[id])) for id in sorted(wanted)]
    drawn = draws(len(pairs), settings.samples, settings.seed)
    compared = [compare(*pair, settings.threshold) for pair in pairs]
    counts = {
        each.name: np.array([getattr(one, each.name) for one in compared], np.int64) for each in fields(Comparison)
    }
    there = [(expected, given[expected.id]) for expected, _ in pairs if expected.id in given]
    among = draws(len(there), settings.samples, settings.seed)
    untouched = np.array([(expected.text == found.text, 1) for expected, found in there], np.int64)
    return Score(
        documents=len(pairs),
        missing=len(pairs) - len(there),
        beyond=len(given.keys() - wanted.keys()),
        measures={name: Measure.of(each, drawn) for name, each in counts.items()},
        untouched=Rate.of_counts(untouched, among),
        predicted=_rates([profile(found) for _, found in there], among),
        gold=_rates([profile(expected) for expected, _ in pairs], drawn),
        settings=settings,
    )


def _by_id(documents: Iterable[AnnotatedDocument], where: str) -> dict[str, AnnotatedDocument]:
    found: dict[str, AnnotatedDocument] = {}
    for document in documents:
        if document.id in found:
            raise LamLamError(f"the id '{document.id}' stands twice among the {where}")
        found[document.id] = document
    return found


def _rates(profiles: list[Profile], drawn: np.ndarray) -> dict[str, Rate]:
    rates = {
        "density": ("calls", "words", 100.0),
        "unplaced": ("unplaced", "calls", 1.0),
        "early": ("early", "calls", 1.0),
    }
    return {
        name: Rate.of_counts(
            np.array([(getattr(one, count), getattr(one, whole)) for one in profiles], np.int64), drawn, scale
        )
        for name, (count, whole, scale) in rates.items()
    }
