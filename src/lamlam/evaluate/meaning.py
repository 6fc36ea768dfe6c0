"""Whether a text begins by saying a value, by meaning: dates, numbers and names in the ways in which texts write them.

Which ways there are is `annotate.forms`' concern, spelling that of `annotate.words`. What is said may be the value, or
a true part of it that tells less: the year of a date, a person's surname, a number without its unit. A name that goes
on ("New York Mets") is another than the one it begins with ("New York").
"""

import re
from enum import IntEnum
from functools import lru_cache

from lamlam.annotate.forms import Strength, surface_forms
from lamlam.annotate.quantities import quantity_forms
from lamlam.text import Word, words

__all__ = ["Likeness", "Said", "likeness"]

_SCALES = {"hundred", "thousand", "million", "billion", "trillion"}
_BRACKETED = re.compile(r"(.+?)\s*\(([^()]+)\)$")
_SIGN = re.compile(r"^\W*[-−]\s?\d")
_JOINED = re.compile(r"[-‐‑–/]")
_SCORE = re.compile(r"\d+[-–]\d+")  # 9-7 behind a player's name is no part of it
_SPACES = re.compile(r"[\s\"“”'’_]*")


class Likeness(IntEnum):
    """How far what is said is a value."""

    NONE = 0
    PART = 1
    SAME = 2


class Said:
    """A text cut into words once, to be compared with many values."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("_", " ")
        self.words = words(self.text)

    def likeness(self, value: str, at: int = 0) -> Likeness:
        """How far the words from the `at`-th on begin by saying `value`."""
        return max((self._begins(form, strength, at, value) for form, strength in _forms(value)), default=Likeness.NONE)

    def _begins(self, form: tuple[str, ...], strength: Likeness, at: int, value: str) -> Likeness:
        end = at + len(form)
        if tuple(word.key for word in self.words[at:end]) != form or self._sign(at) != bool(_SIGN.match(value)):
            return Likeness.NONE
        if self._goes_on(form, end) or self._elsewhere(value, form, end):
            return Likeness.NONE
        return Likeness.NONE if strength is Likeness.PART and self._other_unit(form, end) else strength

    def _sign(self, at: int) -> bool:
        """Whether a minus stands before the word, with nothing that it could join to."""
        start = self.words[at].start
        before = self.text[max(0, start - 2) : start]
        return self.words[at].key[0].isdigit() and bool(re.search(r"(?:^|\s)[-−]$", before))

    def _goes_on(self, form: tuple[str, ...], end: int) -> bool:
        """Whether the name or number is longer than the form: "New York Mets", "American-born", "1930s"."""
        last = self.words[end - 1]
        if form[-1][0].isdigit() and self.text[last.end : last.end + 1].isalpha():
            return True
        if end >= len(self.words):
            return False
        following = self.words[end]
        between = self.text[last.end : following.start]
        if form[-1][0].isdigit():
            return following.key in _SCALES or (following.key[0].isdigit() and _is_date_tail(between))
        if _JOINED.fullmatch(between):
            return True
        if not _SPACES.fullmatch(between) or not self._is_name(last):
            return False
        score = _SCORE.match(self.text, following.start)
        return self.text[following.start].isupper() or (following.key[0].isdigit() and not score)

    def _other_unit(self, form: tuple[str, ...], end: int) -> bool:
        """Whether a number that lacks its unit has one of another kind: "25 km" for 25 m."""
        if not form[-1][0].isdigit() or end >= len(self.words):
            return False
        unit = self.text[self.words[end].start : self.words[end].end]
        return ("1", False) in quantity_forms(f"1 {unit}")

    def _is_name(self, word: Word) -> bool:
        return self.text[word.start].isupper() and not self.text[word.start : word.end].endswith((".", "'s", "’s"))

    def _elsewhere(self, value: str, form: tuple[str, ...], end: int) -> bool:
        """Whether a place of the same name is meant: "Springfield, Massachusetts" for Springfield, Illinois."""
        head, comma, tail = value.partition(",")
        told = tuple(word.key for word in words(tail)) if comma else ()
        if not told or form != tuple(word.key for word in words(head)) or end >= len(self.words):
            return False
        between = self.text[self.words[end - 1].end : self.words[end].start]
        if between.strip() != "," or not self.text[self.words[end].start].isupper():
            return False
        return self.words[end].key != told[0] and not self._tells_any(told, end)

    def _tells_any(self, told: tuple[str, ...], end: int) -> bool:
        return any(word.key in told for word in self.words[end : end + 4])


def likeness(said: str, value: str) -> Likeness:
    """How far a text begins by saying a value.

    "20th of January 1930" is 1930-01-20, "1930" a part of it; "1.2 million" is 1,200,000; "Romeo" is not Rome.
    """
    text = Said(said)
    return text.likeness(value) if text.words else Likeness.NONE


def _is_date_tail(between: str) -> bool:
    """Whether what stands between two numbers makes one of them: "1930-01", "20/1", "2.5"."""
    return bool(re.fullmatch(r"[-–—/.]", between))


@lru_cache(maxsize=1 << 15)
def _forms(value: str) -> tuple[tuple[tuple[str, ...], Likeness], ...]:
    """The words of each way to write a value, each with how much it tells."""
    value = value.replace("_", " ").strip()
    found: dict[tuple[str, ...], Likeness] = {}
    for name in _names(value):
        for form in surface_forms(name):
            keys = tuple(word.key for word in words(form.text))
            told = Likeness.PART if form.strength is Strength.HINT else Likeness.SAME
            if keys:
                found[keys] = max(told, found.get(keys, Likeness.NONE))
    return tuple(found.items())


def _names(value: str) -> list[str]:
    """A value, and the two names of one that has another in brackets: "Helsingfors (Helsinki)", "Jaws (film)"."""
    match = _BRACKETED.match(value)
    if match is None:
        return [value]
    bracketed = match[2] if match[2][0].isupper() and not any(c.isdigit() for c in match[2]) else ""
    return [value, match[1], *([bracketed] if bracketed else [])]
