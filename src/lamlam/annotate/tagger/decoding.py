"""From the scores of tags to spans of tokens."""

from collections.abc import Sequence

import numpy as np

from lamlam.annotate.tagger.windows import Window

__all__ = ["best_spans"]

_OUTSIDE, _BEGIN, _INSIDE = range(3)
_NEVER = -1e4


def best_spans(scores: np.ndarray, windows: Sequence[Window], bias: float) -> list[list[tuple[int, int]]]:
    """The first and last token of each span in the likeliest sequence of tags, for log-probabilities [B, T, 3].

    `bias` is added to what speaks for a tag inside of spans. Spans begin and end with words, and lie in the text.
    """
    scores = scores + np.array([0.0, bias, bias], scores.dtype)
    return [_spans(scores[row, : len(window.ids)], window) for row, window in enumerate(windows)]


def _spans(scores: np.ndarray, window: Window) -> list[tuple[int, int]]:
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
