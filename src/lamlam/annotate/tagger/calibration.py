"""How readily a tagger should see values: as readily as makes most of them right and most found."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamlam.annotate.score import PlacedCall, match
from lamlam.annotate.spans import value_span
from lamlam.annotate.tagger.decoding import Readiness, values
from lamlam.annotate.tagger.tagger import Tagger
from lamlam.markup import AnnotatedDocument, Call

__all__ = ["Calibration", "calibrate"]

_BIASES = tuple(step / 2 for step in range(-1, 7))
_LEASTS = tuple(step / 20 for step in range(13))
_ANY = Call("", "", "", 0)  # places are compared here, not what is asked


@dataclass(frozen=True, slots=True)
class Calibration:
    """The best readiness, and the F1 of overlapping values that it gave."""

    readiness: Readiness
    f1: float


def calibrate(tagger: Tagger, documents: Sequence[AnnotatedDocument]) -> Calibration:
    """Try the possibilities on gold documents that the tagger has not learnt from."""
    readings = list(tagger.read(documents))
    gold = [_placed(document) for document in documents]
    found: list[Calibration] = []
    for bias in _BIASES:
        seen: list[list[tuple[float, PlacedCall]]] = [[] for _ in documents]
        for reading in readings:
            for value in values(reading, Readiness(bias)):
                place = PlacedCall(_ANY, value.start, value.end)
                seen[reading.windows[value.window].document].append((value.sure, place))
        for least in _LEASTS:
            predicted = [[place for sure, place in each if sure >= least] for each in seen]
            found.append(Calibration(Readiness(bias, least), _f1(gold, predicted)))
    return max(found, key=lambda each: each.f1)


def _placed(document: AnnotatedDocument) -> list[PlacedCall]:
    spans = (value_span(document.text, call.value, call.at) for call in document.calls)
    return [PlacedCall(_ANY, *span) for span in spans if span is not None]


def _f1(gold: Sequence[Sequence[PlacedCall]], predicted: Sequence[Sequence[PlacedCall]]) -> float:
    hits = sum(len(match(*each)) for each in zip(gold, predicted, strict=True))
    every = sum(map(len, gold)) + sum(map(len, predicted))
    return 2 * hits / every if every else 0.0
