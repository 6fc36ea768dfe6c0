"""Which words of a copy are which words of a text, in time and memory that grow little faster than the texts.

Short texts are aligned by their longest common subsequence. Long ones are cut where a run of words stands in the text
once, and aligned piece by piece.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from rapidfuzz.distance import Indel

__all__ = ["same_words"]

_AT_ONCE = 25_000_000  # pairs of words that are compared: 3 MB of bits
_RUN = 6  # words that a cut is recognised by


def same_words(text: Sequence[str], copy: Sequence[str]) -> list[int | None]:
    """For each word of the copy the place of the same word in the text, in order; None for a word that is none of them.

    Of several repetitions the first is taken for the text.
    """
    same: list[int | None] = [None] * len(copy)
    if len(text) * len(copy) <= _AT_ONCE:
        _align(text, copy, 0, 0, same)
        return same
    begun, done = 0, 0
    for place, index in [*_anchors(text, copy), (len(text), len(copy))]:
        piece, copied = text[begun:place], copy[done:index]
        if len(piece) * len(copied) <= _AT_ONCE:  # of a longer piece no run of words is the text's
            _align(piece, copied, begun, done, same)
        if index < len(copy):
            same[index] = place
        begun, done = place + 1, index + 1
    return same


def _align(text: Sequence[str], copy: Sequence[str], begun: int, done: int, same: list[int | None]) -> None:
    """Fill in the places of a piece. It is aligned from its end, so that what stands first is matched first.

    A sign before either keeps equal ends from being matched beforehand, which would take the last of repetitions.
    """
    for code in Indel.opcodes(["<", *text[::-1]], [">", *copy[::-1]]):
        if code.tag == "equal":
            for step in range(code.src_end - code.src_start):
                same[done + len(copy) - code.dest_start - step] = begun + len(text) - code.src_start - step


def _anchors(text: Sequence[str], copy: Sequence[str]) -> list[tuple[int, int]]:
    """Places in text and copy where one run of words begins, that rise in both: the most that there are of these."""
    runs = [tuple(text[start : start + _RUN]) for start in range(len(text) - _RUN + 1)]
    counts = Counter(runs)
    places = {run: place for place, run in enumerate(runs) if counts[run] == 1}
    first: dict[int, int] = {}
    for index in range(len(copy) - _RUN + 1):
        place = places.get(tuple(copy[index : index + _RUN]))
        if place is not None:
            first.setdefault(place, index)
    return _rising(list(first.items()))


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest subsequence of pairs, given by their second number, in which the first rises too."""
    ends: list[int] = []  # the least first number with which a subsequence of each length can end
    last: list[int] = []
    before: list[int | None] = []
    for number, (place, _) in enumerate(pairs):
        length = bisect_left(ends, place)
        before.append(last[length - 1] if length else None)
        ends[length : length + 1] = [place]
        last[length : length + 1] = [number]
    chain: list[tuple[int, int]] = []
    link = last[-1] if last else None
    while link is not None:
        chain.append(pairs[link])
        link = before[link]
    return chain[::-1]
