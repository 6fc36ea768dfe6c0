"""Moves spans from one version of a text to another, as models alter a text that they annotate."""

from bisect import bisect_right

from rapidfuzz.distance import Levenshtein

__all__ = ["TextMap"]


class TextMap:
    """From the characters of `old` to those of `new`, by the shortest way to make one of the other."""

    def __init__(self, old: str, new: str) -> None:
        self.same = old == new
        self._blocks = [] if self.same else list(Levenshtein.opcodes(old, new))
        self._starts = [block.src_start for block in self._blocks]

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Where the characters [start, end) of `old` stand in `new`; None where nothing is left of them."""
        if self.same:
            return start, end
        moved = self._at(start, last=False), self._at(end - 1, last=True)
        return moved if moved[0] < moved[1] else None

    def _at(self, position: int, *, last: bool) -> int:
        """The start of a character, or its end if it is the `last` one; what was replaced stands for all of it."""
        block = self._blocks[bisect_right(self._starts, position) - 1]
        if block.tag == "equal":
            return block.dest_start + position - block.src_start + last
        return block.dest_end if last else block.dest_start
