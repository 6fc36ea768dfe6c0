"""Finds where a text mentions a name: by its forms, by a near spelling, by its words in another order.

Which mention states which fact is left to `align`.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz import fuzz

from lamlam.annotate.forms import Strength, surface_forms
from lamlam.annotate.words import words

__all__ = ["Mention", "MentionFinder"]

_NEAR = 88.0
_SHORTEST_NEAR = 6
_LOOSE = 3


class Mention(NamedTuple):
    """Words [first, last) of a text that mention a name, as characters [start, end), and how surely they do."""

    first: int
    last: int
    start: int
    end: int
    strength: Strength


class _Compiled(NamedTuple):
    keys: tuple[str, ...]
    strength: Strength
    capital: bool
    upper: bool


class MentionFinder:
    """Mentions of any name in one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = words(text)
        self.keys = [word.key for word in self.words]
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, key in enumerate(self.keys):
            self._places[key].append(place)

    def find(self, name: str, strongest: Strength, weakest: Strength) -> list[Mention]:
        """Mentions of `name` by its forms within the given strengths, in order; of nested ones the longest."""
        found: dict[int, Mention] = {}
        for form in _compiled(name):
            if strongest <= form.strength <= weakest:
                for mention in self._exact(form):
                    held = found.get(mention.first)
                    if held is None or mention.last > held.last:
                        found[mention.first] = mention
        return _outermost(sorted(found.values()))

    def find_near(self, name: str) -> list[Mention]:
        """Mentions of `name` with a typing error in them, or with its words moved or parted: the nearest only."""
        best: tuple[float, Mention] | None = None
        for form in _compiled(name):
            if form.strength > Strength.VARIANT or len(form.keys) == 0:
                continue
            for score, mention in (*self._misspelt(form), *self._moved(form)):
                if best is None or score > best[0]:
                    best = (score, mention)
        return [best[1]] if best else []

    def _exact(self, form: _Compiled) -> Iterator[Mention]:
        size = len(form.keys)
        for first in self._places.get(form.keys[0], ()) if form.keys else ():
            if tuple(self.keys[first : first + size]) == form.keys and self._written_as(form, first):
                yield self._mention(first, first + size, form.strength)

    def _written_as(self, form: _Compiled, first: int) -> bool:
        raw = self.text[self.words[first].start : self.words[first].end]
        return (raw.isupper() or not form.upper) and (raw[0].isupper() or not form.capital)

    def _misspelt(self, form: _Compiled) -> Iterator[tuple[float, Mention]]:
        wanted = "".join(form.keys)
        if len(wanted) < _SHORTEST_NEAR:
            return
        digits = [key for key in form.keys if key[0].isdigit()]
        for size in range(max(1, len(form.keys) - 1), len(form.keys) + 2):
            for first in range(len(self.keys) - size + 1):
                window = self.keys[first : first + size]
                score = fuzz.ratio(wanted, "".join(window), score_cutoff=_NEAR)
                if score and [key for key in window if key[0].isdigit()] == digits:
                    yield score, self._mention(first, first + size, Strength.HINT)

    def _moved(self, form: _Compiled) -> Iterator[tuple[float, Mention]]:
        """All words of a form of two or more within a window little longer than the form."""
        size, wanted = len(form.keys), set(form.keys)
        if size < 2 or not wanted <= self._places.keys():
            return
        for first in sorted(place for key in wanted for place in self._places[key]):
            missing = set(wanted)
            for last in range(first, min(first + size + _LOOSE, len(self.keys))):
                missing.discard(self.keys[last])
                if not missing:
                    score = 100.0 * size / (last + 1 - first)
                    yield score, self._mention(first, last + 1, Strength.HINT)
                    break

    def _mention(self, first: int, last: int, strength: Strength) -> Mention:
        return Mention(first, last, self.words[first].start, self.words[last - 1].end, strength)


def _outermost(mentions: list[Mention]) -> list[Mention]:
    kept: list[Mention] = []
    for mention in mentions:
        if not kept or mention.last > kept[-1].last:
            kept.append(mention)
    return kept


@lru_cache(maxsize=1 << 16)
def _compiled(name: str) -> tuple[_Compiled, ...]:
    """The forms of a name as keys. Short capitals ("US") must be written so, and a surname with its capital."""
    found: dict[tuple[str, ...], _Compiled] = {}
    for text, strength in surface_forms(name):
        keys = tuple(word.key for word in words(text))
        if keys and keys not in found:
            letters = text.replace(".", "")
            upper = len(keys) == 1 and letters.isalpha() and letters.isupper() and len(letters) <= 4
            found[keys] = _Compiled(keys, strength, strength is Strength.HINT and text[0].isupper(), upper)
    return tuple(found.values())
