"""Cuts a text into words and gives each a key under which spellings of the same word meet.

Case, diacritics, apostrophes, plurals, thousands separators and the dots of initials do not reach the key. Small words
that names take and lose freely ("the", "and", "of", a lower-case "a") are no words here, nor is punctuation.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

__all__ = ["Word", "fold", "words"]

_LETTER = r"[^\W\d_]"
_WORD = re.compile(
    rf"(?<!\w){_LETTER}(?:\. ?{_LETTER}(?!\w))+\.?"  # initials: A.F.C.  T. S.
    r"|\d+(?:st|nd|rd|th)\b"  # 23rd
    r"|\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?"  # 1,121.0  2776
    r"|%"
    rf"|{_LETTER}[^\W\d_\u0300-\u036f]*(?:[\u0300-\u036f]+[^\W\d_]*)*(?:['’`][^\W\d_]+)*"  # Ethiopia's
)
_PLAIN = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
_SMALL = frozenset({"the", "and", "of"})


class Word(NamedTuple):
    """A word's key and its characters [start, end) in the text."""

    key: str
    start: int
    end: int


def words(text: str) -> list[Word]:
    """The words of a text, in order, small words left out; a text of small words alone keeps them."""
    every = [(match.group(), match.start(), match.end()) for match in _WORD.finditer(text)]
    told = [Word(_key(raw), start, end) for raw, start, end in every if not _is_small(raw)]
    return told or [Word(_key(raw), start, end) for raw, start, end in every]


def _is_small(raw: str) -> bool:
    return raw in ("a", "an") or raw.lower() in _SMALL


def fold(text: str) -> str:
    """The text in lower case and without diacritics."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold().translate(_PLAIN)


@lru_cache(maxsize=1 << 16)
def _key(raw: str) -> str:
    if raw[0].isdigit():
        return _number_key(raw)
    if raw == "%":
        return "percent"
    key = fold(raw).replace("’", "'").replace("`", "'")
    key = key.removesuffix("'s").replace("'", "").replace(".", "").replace(" ", "")
    return _singular(key) or raw


def _number_key(raw: str) -> str:
    number = raw.replace(",", "")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return number.lstrip("0") or "0" if len(number) <= 2 else number


def _singular(key: str) -> str:
    if len(key) <= 3 or not key.endswith("s") or key.endswith(("ss", "us", "is")):
        return key
    if key.endswith("ies") and len(key) > 4:
        return key[:-3] + "y"
    return key[:-2] if key.endswith("oes") else key[:-1]
