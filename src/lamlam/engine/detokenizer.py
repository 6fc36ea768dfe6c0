"""The visible text of one sequence: whole characters, stop strings, and the places of its calls."""

import codecs
from collections.abc import Sequence
from dataclasses import replace

from lamlam.engine.generation import Lookup

__all__ = ["Detokenizer"]


class Detokenizer:
    """A text that grows by bytes and ends before the first of the `stop` strings.

    A text that `opens` has the space in front that every encoded text is given; it is left out.
    """

    def __init__(self, stop: Sequence[str] = (), *, opens: bool = False) -> None:
        self.text = ""
        self._stop, self._opens = stop, opens
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._shown = 0

    def add(self, piece: bytes, *, last: bool = False) -> bool:
        """Write on; bytes that do not end a character wait for the next. True once a stop string has been reached."""
        before = len(self.text)
        if self._opens and piece:
            piece, self._opens = piece.removeprefix(b" "), False
        self.text += self._decoder.decode(piece, last)
        places = [self.text.find(stop, max(0, before - len(stop) + 1)) for stop in self._stop]
        reached = [place for place in places if place >= 0]
        if reached:
            self.text = self.text[: min(reached)]
        return bool(reached)

    def after_call(self) -> None:
        """A call stands here. Where a space stands in front of it, the one behind it is the call's, and is left out."""
        self._opens = self._opens or self.text.endswith(" ")

    def show(self, *, last: bool = False) -> str:
        """The text since the last time, less what may turn out to begin a stop string unless it is the `last`."""
        start, end = self._shown, len(self.text) - (0 if last else self._held())
        self._shown = max(start, end)
        return self.text[start:end]

    def placed(self, lookup: Lookup) -> Lookup:
        """The lookup with the span in which the text after its call states a value of its resolution."""
        place = min(lookup.start, len(self.text))
        start = place + len(self.text[place:]) - len(self.text[place:].lstrip())
        stated = (lookup.value, lookup.resolution.text, *lookup.resolution.values) if lookup.resolution.found else ()
        for value in sorted(set(stated), key=len, reverse=True):
            if value and self._states(value, start):
                return replace(lookup, start=start, end=start + len(value))
        return replace(lookup, start=place, end=place)

    def _states(self, value: str, start: int) -> bool:
        following = self.text[start + len(value) : start + len(value) + 1]
        return self.text.startswith(value, start) and not (value[-1].isalnum() and following.isalnum())

    def _held(self) -> int:
        """Length of the longest end of the text with which a stop string begins."""
        lengths = (n for stop in self._stop for n in range(1, len(stop)) if self.text.endswith(stop[:n]))
        return max(lengths, default=0)
