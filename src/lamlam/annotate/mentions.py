"""Finds where a text mentions a name: by its forms, by a near spelling, or by its words in another order."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from rapidfuzz import fuzz, process

from lamlam.annotate.forms import Strength, surface_forms
from lamlam.text import words

__all__ = ["Mention", "MentionFinder"]

_NEAR = 86.0
_NEAR_CUT = 95.0
_SHORTEST_NEAR = 6
_SHORTEST_NEAR_PART = 8
_LOOSE = 3
_MAY_MISS_ONE = 5


class Mention(NamedTuple):
    """Words [first, last) of a text that mention a name, their characters [start, end), and how surely they do."""

    first: int
    last: int
    start: int
    end: int
    strength: Strength


class _Compiled(NamedTuple):
    keys: tuple[str, ...]
    strength: Strength
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
        self._joined: dict[int, list[str]] = {}

    def find(self, name: str, strongest: Strength, weakest: Strength) -> list[Mention]:
        """Return mentions of `name` by its forms within the given strengths, in order; of nested ones the longest."""
        found: dict[int, Mention] = {}
        for form in _compiled(name):
            if strongest <= form.strength <= weakest:
                for mention in self._exact(form):
                    held = found.get(mention.first)
                    if held is None or mention.last > held.last:
                        found[mention.first] = mention
        return _outermost(sorted(found.values()))

    def first(
        self, name: str, strongest: Strength, weakest: Strength, *, beginning: tuple[str, ...] = ("",)
    ) -> Mention | None:
        """Return the first mention that `find` would find and that begins with one of some strings."""
        forms = (form for form in _compiled(name) if strongest <= form.strength <= weakest)
        by_form = ((m for m in self._exact(form) if self.text.startswith(beginning, m.start)) for form in forms)
        found = [mention for mentions in by_form for mention in islice(mentions, 1)]
        return min(found, key=lambda mention: (mention.first, -mention.last), default=None)

    def find_near(self, name: str) -> list[Mention]:
        """Return the nearest mention of `name` with a typing error in it."""
        return self._best(name, self._misspelt)

    def find_moved(self, name: str) -> list[Mention]:
        """Return the closest mention of `name` with its words in another order or apart."""
        return self._best(name, self._moved)

    def _best(self, name: str, search: Callable[[_Compiled], Iterable[tuple[float, Mention]]]) -> list[Mention]:
        forms = [form for form in _compiled(name) if form.strength is not Strength.HINT]
        found = [scored for form in forms for scored in search(form)]
        return [max(found, key=lambda scored: (scored[0], -scored[1].first))[1]] if found else []

    def _exact(self, form: _Compiled) -> Iterator[Mention]:
        size, rarest = len(form.keys), self._rarest(form.keys)
        for place in self._places.get(rarest, ()):
            first = place - form.keys.index(rarest)
            if first >= 0 and tuple(self.keys[first : first + size]) == form.keys and self._written_as(form, first):
                yield self._mention(first, first + size, form.strength)

    def _rarest(self, keys: Collection[str]) -> str:
        """Return the word that the text has least: names that share a frequent word aren't tried everywhere."""
        return min(keys, key=lambda key: len(self._places.get(key, ())))

    def _written_as(self, form: _Compiled, first: int) -> bool:
        raw = self.text[self.words[first].start : self.words[first].end].removesuffix("'s").removesuffix("’s")
        return raw.isupper() or not form.upper

    def _misspelt(self, form: _Compiled) -> Iterator[tuple[float, Mention]]:
        """Yield windows spelt almost alike, with the same numbers; a word more or less only if one was cut in two."""
        wanted, digits = "".join(form.keys), [key for key in form.keys if key[0].isdigit()]
        if len(wanted) < (_SHORTEST_NEAR_PART if form.strength is Strength.PART else _SHORTEST_NEAR):
            return
        for size in range(max(1, len(form.keys) - 1), len(form.keys) + 2):
            cutoff = _NEAR if size == len(form.keys) else _NEAR_CUT
            alike = process.extract_iter(wanted, self._windows(size), scorer=fuzz.ratio, score_cutoff=cutoff)
            for _, score, first in alike:
                if [key for key in self.keys[first : first + size] if key[0].isdigit()] == digits:
                    yield score, self._mention(first, first + size, Strength.HINT)

    def _windows(self, size: int) -> list[str]:
        """Return every run of `size` words, written as one."""
        if size not in self._joined:
            self._joined[size] = ["".join(self.keys[at : at + size]) for at in range(len(self.keys) - size + 1)]
        return self._joined[size]

    def _moved(self, form: _Compiled) -> Iterator[tuple[float, Mention]]:
        """Yield windows of one sentence, little longer than the form, that have its words in any order.

        One word of five or more may be missing.
        """
        size, wanted = len(form.keys), set(form.keys)
        spare = 1 if size >= _MAY_MISS_ONE else 0
        present = wanted & self._places.keys()
        if size < 2 or len(present) < len(wanted) - spare or any(key[0].isdigit() for key in wanted - present):
            return
        width = size + size // _LOOSE
        rarest = self._places[self._rarest(present)]
        starts = {first for place in rarest for first in range(max(0, place - width + 1), place + 1)}
        for first in sorted(first for first in starts if self.keys[first] in present):
            missing = set(present)
            for last in range(first, min(first + width, len(self.keys))):
                missing.discard(self.keys[last])
                if not missing:
                    mention = self._mention(first, last + 1, Strength.HINT)
                    if ". " not in self.text[mention.start : mention.end]:
                        yield 100.0 * len(present) / max(size, last + 1 - first), mention
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
    """Return the forms of a name as keys. Short capitals ("US") must be capitals in the text too."""
    found: dict[tuple[str, ...], _Compiled] = {}
    for text, strength in surface_forms(name):
        keys = tuple(word.key for word in words(text))
        if keys and keys not in found:
            letters = text.replace(".", "")
            upper = len(keys) == 1 and letters.isalpha() and letters.isupper() and len(letters) <= 3
            found[keys] = _Compiled(keys, strength, upper)
    return tuple(found.values())
