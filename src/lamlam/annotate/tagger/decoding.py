"""From the scores of tags to values: spans of words that are surely enough of the kind that gold marks."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lamlam.annotate.tagger.reading import Reading
from lamlam.annotate.tagger.windows import Window

__all__ = ["Readiness", "Value", "values"]

_OUTSIDE, _BEGIN, _INSIDE = range(3)
_NEVER = -1e4


class Readiness(NamedTuple):
    """How readily values are seen: `bias` says how far they reach, `least` how likely their words must be on average.

    The network is seldom sure, as gold marks one fact and leaves out the next. A bias alone that finds as many values
    as gold has cuts them into pieces.
    """

    bias: float = 0.0
    least: float = 0.0


class Value(NamedTuple):
    """The first and last token of a value in a window of a reading, its characters, and how likely its words are."""

    window: int
    first: int
    last: int
    start: int
    end: int
    sure: float


def values(reading: Reading, readiness: Readiness) -> Iterator[Value]:
    """The values that the windows of a reading decide on, window by window."""
    biased = reading.scores + np.array([0.0, readiness.bias, readiness.bias], reading.scores.dtype)
    inside = 1.0 - np.exp(reading.scores[:, :, _OUTSIDE])
    for row, window in enumerate(reading.windows):
        for first, last in _likeliest(biased[row], window):
            start, end = window.offsets[first - window.body][0], window.offsets[last - window.body][1]
            sure = float(inside[row, first : last + 1].mean())
            if window.since <= start < window.until and sure >= readiness.least:
                yield Value(row, first, last, start, end, sure)


def _likeliest(scores: np.ndarray, window: Window) -> list[tuple[int, int]]:
    """The first and last token of each span in the likeliest sequence of tags; spans are whole words of the text."""
    body, length = window.body, len(window.offsets)
    begins = np.array(window.begins)
    part = scores[body : body + length].astype(np.float64)
    part[~begins, _BEGIN] = _NEVER
    best, back = part[0].copy(), np.zeros((length, 3), np.int8)
    best[_INSIDE] = _NEVER
    for index in range(1, length):
        outside_from = int(best.argmax()) if begins[index] else _OUTSIDE
        inside_from = _BEGIN if best[_BEGIN] >= best[_INSIDE] else _INSIDE
        any_from = int(best.argmax())
        back[index] = outside_from, any_from, inside_from
        best = part[index] + best[back[index]]
    return _read_back(int(best.argmax()), back, body)


def _read_back(tag: int, back: np.ndarray, body: int) -> list[tuple[int, int]]:
    spans, last = [], None
    for index in range(len(back) - 1, -1, -1):
        if tag != _OUTSIDE and last is None:
            last = index
        if tag == _BEGIN and last is not None:
            spans.append((body + index, body + last))
            last = None
        tag = int(back[index][tag])
    return spans[::-1]
