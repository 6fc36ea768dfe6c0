"""How readily a tagger should mark values: as readily as makes most of them right and most found."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lamlam.annotate.score import ScoreSettings, score
from lamlam.annotate.tagger.tagger import Tagger
from lamlam.markup import AnnotatedDocument

__all__ = ["Calibration", "calibrate"]

_BIASES = tuple(step / 4 for step in range(-4, 9))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The best bias, and the F1 of overlapping values that it gave."""

    bias: float
    f1: float


def calibrate(tagger: Tagger, documents: Sequence[AnnotatedDocument]) -> Calibration:
    """Try the biases on gold documents that the tagger has not learnt from."""
    readings = list(tagger.read(documents))
    gold = [_values_alone(document) for document in documents]
    return max(
        (Calibration(bias, _f1(gold, tagger.write(documents, readings, bias))) for bias in _BIASES),
        key=lambda each: (each.f1, -abs(each.bias)),
    )


def _f1(gold: list[AnnotatedDocument], predicted: list[AnnotatedDocument]) -> float:
    """Of nothing predicted it is not a number, but 0 here."""
    measures = score(gold, map(_values_alone, predicted), ScoreSettings(samples=1)).measures
    return measures["span_overlap"].f1.value if measures["span_overlap"].hits else 0.0


def _values_alone(document: AnnotatedDocument) -> AnnotatedDocument:
    """The document as if all its calls asked the same, which is quick to compare."""
    return replace(document, calls=tuple(replace(call, entity="-", relation="-") for call in document.calls))
