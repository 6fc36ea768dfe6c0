"""Plain-text basics that need no model: months, folding, words, titles and windows.

A word's key is what its spellings have in common: case, diacritics, apostrophes, plurals, thousands separators and the
dots of initials don't reach it. `words` leaves out punctuation and the small words that names take and lose freely.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

__all__ = [
    "LETTERS_BEYOND_ACCENTS",
    "MONTHS",
    "WORD",
    "Word",
    "fold",
    "plain_words",
    "readable",
    "spaced",
    "title_of",
    "windows",
    "words",
]

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WORD = re.compile(r"[^\W_]+")
"""A run of letters and digits."""
LETTERS_BEYOND_ACCENTS = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)
"""Letters that lose no accent when decomposed."""

_LETTER = r"[^\W\d_]"
_TOKEN = re.compile(
    rf"(?<!\w){_LETTER}(?:\. ?{_LETTER}(?!\w))+\.?"  # initials: A.F.C.  T. S.
    r"|\d+(?:st|nd|rd|th)\b"  # 23rd
    r"|\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?"  # 1,121.0  2776
    r"|%"
    rf"|{_LETTER}[^\W\d_\u0300-\u036f]*(?:[\u0300-\u036f]+[^\W\d_]*)*(?:['’`][^\W\d_]+)*"  # Ethiopia's
)
_SMALL = frozenset({"the", "and", "of"})
_TITLE_PREFIX = re.compile(r"\s*(?P<title>[^\s:]{2,120}): ")  # Pope_Paul_VI: He reminded
_TITLE_LINE = re.compile(r"\s*(?:#+ +)?(?P<title>[^\n]{2,120}?)\s*\n\s*\n")  # a line by itself
_NO_TITLE = (".", ",", ";", ":", "!")
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BORDERS = tuple(map(re.compile, (r"\n\s*\n\s*", r"\n\s*", r"(?<=[.!?])[\"'”’)\]]*\s+", r"\s+")))


class Word(NamedTuple):
    """A word's key and its characters [start, end) in the text."""

    key: str
    start: int
    end: int


def words(text: str) -> list[Word]:
    """Return the words of a text in order, without small words; a text of small words alone keeps them."""
    every = [(match.group(), match.start(), match.end()) for match in _TOKEN.finditer(text)]
    kept = [Word(_key(raw), start, end) for raw, start, end in every if not _is_small(raw)]
    return kept or [Word(_key(raw), start, end) for raw, start, end in every]


def plain_words(text: str) -> list[Word]:
    """Return all runs of letters and digits, small words too; their keys are folded and nothing else."""
    return [Word(fold(match.group()), match.start(), match.end()) for match in WORD.finditer(text)]


def fold(text: str) -> str:
    """Return the text in lower case and without diacritics."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold().translate(LETTERS_BEYOND_ACCENTS)


def title_of(text: str) -> str:
    """Return one word before a colon (underscores are spaces), or a first line by itself that is no sentence, or ""."""
    if match := _TITLE_PREFIX.match(text):
        return unquote(match["title"]).replace("_", " ")
    match = _TITLE_LINE.match(text)
    return match["title"] if match and not match["title"].endswith(_NO_TITLE) else ""


def spaced(name: str) -> str:
    """Return a name with spaces instead of underscores."""
    return " ".join(name.replace("_", " ").split())


def readable(relation: str) -> str:
    """Return a relation with camel case split and words in lower case; abbreviations such as ISBN stay."""
    parts = _WORD_START.sub(" ", spaced(relation)).split()
    return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in parts)


def windows(text: str, limit: int) -> list[tuple[int, int]]:
    """Cut a text into spans [start, end) of at most `limit` characters, in order and without overlap.

    A window ends after a paragraph if one ends within the limit, else after a line, a sentence or a word; only a longer
    word is cut. An empty text has no windows. Raises `ValueError` for a limit below 1.
    """
    if limit < 1:
        raise ValueError(f"a window holds at least one character, not {limit}")
    spans = []
    start = 0
    while start < len(text):
        end = len(text) if len(text) - start <= limit else _border(text, start, start + limit)
        spans.append((start, end))
        start = end
    return spans


def _border(text: str, start: int, most: int) -> int:
    """Return the last of the best borders in (start, most]; all but those of words must be in the second half."""
    half = (start + most) // 2
    for border in _BORDERS:
        ends = [match.end() for match in border.finditer(text, start, most)]
        if ends and (ends[-1] > half or border is _BORDERS[-1]):
            return ends[-1]
    return most


def _is_small(raw: str) -> bool:
    return raw in ("a", "an") or raw.lower() in _SMALL


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
