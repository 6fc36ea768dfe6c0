"""Whether a continuation gives an answer: the one judgement that every score of facts rests on.

It is strict about what is said and lenient about how: a word too many in front, or a value that only begins like the
answer, is wrong; case, a leading article, quotes and the form of a number do not matter.
"""

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["gives"]

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": None, "”": None, "„": None, '"': None, "_": " "})
_ARTICLES = ("the ", "a ", "an ")
_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")


def gives(continuation: str, answers: Iterable[str]) -> bool:
    """Whether `continuation` starts with one of `answers`, at a word boundary; numbers are compared by value.

    "the Rome of" gives "Rome"; "Romeo" does not; "25 m" gives "25.0"; "25.7" does not give "25".
    """
    said = _plain(continuation)
    return any(_starts(said, wanted) for wanted in map(_plain, answers) if wanted)


def _plain(text: str) -> str:
    """NFKC, casefolded, single-spaced, without quotes, leading articles, or a space before a comma."""
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold()
    text = " ".join(text.split()).replace(" ,", ",").strip("' ")
    for article in _ARTICLES:
        if text.startswith(article):
            return text.removeprefix(article).lstrip("' ")
    return text


def _starts(said: str, wanted: str) -> bool:
    if _NUMBER.fullmatch(wanted):
        match = _NUMBER.match(said)
        return match is not None and _ends_word(said, match.end()) and _number(match[0]) == _number(wanted)
    return said.startswith(wanted) and _ends_word(said, len(wanted))


def _ends_word(text: str, end: int) -> bool:
    """Whether a word or number ends at `end`: "2" does not end in "2.5"."""
    if end >= len(text) or not text[end - 1].isalnum():
        return True
    inside_number = text[end - 1].isdigit() and text[end] in ".," and text[end + 1 : end + 2].isdigit()
    return not text[end].isalnum() and not inside_number


def _number(digits: str) -> float:
    return float(digits.replace(",", ""))
