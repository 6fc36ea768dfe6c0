"""The ways in which a text may write a name, a date or a number.

`surface_forms` lists them as strings, from the name itself to its parts. Dates and numbers are left to `quantities`,
spelling (case, diacritics, plurals) to `lamlam.text`, and finding a form in a text to `mentions`.
"""

import re
from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from lamlam.annotate.quantities import date_forms, quantity_forms, respelled

__all__ = ["Form", "Strength", "spellings", "surface_forms"]

_ALIASES = {
    "United States": ("USA", "U.S.", "US", "U.S.A.", "United States of America", "America", "American"),
    "Great Britain": ("Britain",),
    "United Kingdom": ("UK", "U.K.", "Britain", "Great Britain", "British"),
}
_ADJECTIVES = {
    "Denmark": "Danish", "England": "English", "Finland": "Finnish", "France": "French", "Germany": "German",
    "Great Britain": "British", "Greece": "Greek", "Iceland": "Icelandic", "Ireland": "Irish", "Israel": "Israeli",
    "Netherlands": "Dutch", "New Zealand": "New Zealander", "Norway": "Norwegian", "Philippines": "Filipino",
    "Poland": "Polish", "Portugal": "Portuguese", "Scotland": "Scottish", "Spain": "Spanish", "Sweden": "Swedish",
    "Switzerland": "Swiss", "Thailand": "Thai", "Turkey": "Turkish", "Wales": "Welsh", "Peru": "Peruvian",
}  # fmt: skip
_STEM_ENDS = (("y", "ian"), ("ium", "ian"), ("ia", "ian"), ("ada", "adian"), ("ico", "ican"), ("a", "an"), ("o", "an"))
_STEM_ADDS = ("i", "ese", "ian", "ean", "an")
_CLASS_WORDS = (
    " language", " cuisine", " people", " F.C.", " FC", " S.p.A.", " Airport", " County", " University", " (amateurs)",
    " postcode area", " Department", " Province", " Region", " city", " Monument", " Memorial", " Party", " magazine",
    " dish", " sauce", " Army", " Hospital", " College", " S.r.l.", " architecture", " style",
)  # fmt: skip
_DIGITS = tuple("0123456789")
_GENERIC = {
    "academy", "army", "assembly", "bank", "battle", "board", "book", "church", "city", "college", "council",
    "county", "department", "district", "federation", "government", "hall", "head", "hospital", "house", "institute",
    "journal", "legion", "library", "list", "mayor", "ministry", "monument", "museum", "parliament", "province",
    "region", "republic", "royal", "school", "society", "state", "tower", "united", "university",
}  # fmt: skip
_PARENTHESIS = re.compile(r"\s*\(([^()]*)\)\s*")
_SEASON = re.compile(r"(\d\d)(\d\d)[–-](\d\d)\b")
_TURNED = re.compile(r"(\w+), (\w[\w. ]*)")  # Curie, Marie
_OF = re.compile(r" (?:of|in|at|for|by|near) ")


class Strength(IntEnum):
    """How surely a form means the name: the name itself, another way to write it, a part of it, or a hint of it."""

    NAME = 0
    VARIANT = 1
    PART = 2
    HINT = 3


class Form(NamedTuple):
    text: str
    strength: Strength


@lru_cache(maxsize=1 << 16)
def surface_forms(name: str) -> tuple[Form, ...]:
    """Return all known ways to write `name`, each once at its greatest strength; the name itself comes first."""
    found: dict[str, Strength] = {}
    for form in _forms(name):
        text = form.text.strip(" ,;\"'")
        if any(c.isalnum() for c in text):
            found[text] = min(form.strength, found.get(text, form.strength))
    if not found:
        return (Form(name, Strength.NAME),)
    return tuple(Form(text, strength) for text, strength in sorted(found.items(), key=lambda item: item[1]))


def spellings(name: str) -> list[str]:
    """Return the forms that identify the name by themselves: all but hints."""
    return [form.text for form in surface_forms(name) if form.strength < Strength.HINT]


def _forms(name: str) -> Iterator[Form]:
    yield Form(name, Strength.NAME)
    if (dates := date_forms(name)) is not None:
        yield from _variants_or_hints(dates)
        return
    bare = _PARENTHESIS.sub(" ", name).strip(" ,") or name
    yield Form(bare, Strength.VARIANT)
    yield from _variants_or_hints(quantity_forms(bare))
    yield from _all(Strength.VARIANT, respelled(bare))
    if not any(c.isalpha() for c in bare):
        yield Form(bare.replace("-", ""), Strength.VARIANT)
        return
    if turned := _TURNED.fullmatch(bare):
        yield Form(f"{turned[2]} {turned[1]}", Strength.VARIANT)
    for text in dict.fromkeys((name, bare)):
        yield from _all(Strength.VARIANT, (*_aliases(text), *_seasons(text)))
    yield from _all(Strength.PART, _parts(bare))
    yield from _all(Strength.HINT, (*_heads(bare), *_adjectives(bare), *_hints(bare), *_surname(bare)))


def _all(strength: Strength, texts: Iterable[str]) -> Iterator[Form]:
    return (Form(text, strength) for text in texts)


def _variants_or_hints(forms: Iterable[tuple[str, bool]]) -> Iterator[Form]:
    """Yield complete forms as variants, and partial ones, such as a date's year, as hints."""
    return (Form(text, Strength.VARIANT if whole else Strength.HINT) for text, whole in forms)


def _aliases(name: str) -> Iterator[str]:
    yield from _ALIASES.get(name, ())
    if name in _ADJECTIVES:
        yield _ADJECTIVES[name]


def _adjectives(name: str) -> Iterator[str]:
    """Guess what a place's adjective may look like: "Italian" for Italy."""
    if name.isalpha() and name[0].isupper() and len(name) > 3:
        yield from (name[: -len(end)] + adjective for end, adjective in _STEM_ENDS if name.endswith(end))
        yield from (name + adjective for adjective in _STEM_ADDS)


def _seasons(name: str) -> Iterator[str]:
    """Write out the years of a season: "2014–15 Topklasse" as "2014-2015 Topklasse" or "2014-15"."""
    if match := _SEASON.match(name):
        years = f"{match[1]}{match[2]}-{match[1]}{match[3]}"
        yield years + name[match.end() :]
        yield years
        yield match.group()


def _parts(bare: str) -> Iterator[str]:
    for article in ("The ", "A ", "An "):
        if bare.startswith(article):
            yield bare.removeprefix(article)
    if numeral := _numeral(bare):
        yield bare.removeprefix(numeral)
    head, comma, _ = bare.partition(",")
    if comma and head.casefold().strip() not in _GENERIC:
        yield head
    for word in _CLASS_WORDS:
        if bare.endswith(word):
            yield bare.removesuffix(word)


def _heads(bare: str) -> Iterator[str]:
    """Yield what precedes "of", "in" and the like, longest first: "President" for President of the United States."""
    for match in reversed(list(_OF.finditer(bare))):
        head = bare[: match.start()]
        if head.split()[-1].casefold() not in _GENERIC:
            yield head


def _hints(bare: str) -> Iterator[str]:
    """Yield a name's initials, and a club's own words, without number and initials: "Magdeburg" for 1. FC Magdeburg."""
    capitals = "".join(word[0] for word in bare.replace("-", " ").split() if word[0].isupper())
    if len(capitals) > 1 and capitals.isalpha():
        yield capitals
    every = bare.split()
    kept = [word for word in every if not (_is_year(word) or word == every[0] == _numeral(bare) or _is_initials(word))]
    telling = " ".join(kept)
    if kept and telling != bare and bare.endswith((telling, *_DIGITS)) and "," not in bare and len(telling) > 4:
        yield telling


def _surname(bare: str) -> Iterator[str]:
    """Yield the last word of what may be a person's name."""
    *given, last = bare.split()
    capitals = 1 <= len(given) <= 3 and all(word[0].isupper() for word in (*given, last))
    if capitals and "," not in bare and last.isalpha() and len(last) > 4 and last.casefold() not in _GENERIC:
        yield last


def _numeral(bare: str) -> str | None:
    """Return the numeral that a club's name may begin with, as "1." in 1. FC Magdeburg."""
    first = bare.split(maxsplit=1)[0]
    return first if first.endswith(".") and first[:-1].isdigit() else None


def _is_year(word: str) -> bool:
    return word.isdigit() and len(word) == 4


def _is_initials(word: str) -> bool:
    letters = word.replace(".", "")
    return letters.isupper() and len(letters) <= 5 and ("." in word or len(letters) > 1)
