"""Compare a continuation with the answers that are right: strictly (`gives`), and by five rules of overlap (`Overlap`).

Every score of facts rests on `gives`. It is strict about content and lenient about form: an extra word in front, or a
value that only begins like the answer, is wrong; case, a leading article, quotes and the form of a number don't matter.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["RULES", "WITHIN", "Overlap", "clause", "gives"]

WITHIN = 5
"""The rule `within` looks for the answer in this many words of the continuation."""

RULES = ("within", "strict", "first", "exact")

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": None, "”": None, "„": None, '"': None, "_": " "})
_ARTICLES = ("the", "a", "an")
_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
_CLAUSE_END = re.compile(r"(?<!\b[A-Z])[.!?](?=\s|$)|[;:\n]|,(?!\d)|\s[(–—]")


def gives(continuation: str, answers: Iterable[str]) -> bool:
    """Whether `continuation` starts with one of `answers`, at a word boundary; numbers are compared by value.

    "the Rome of" gives "Rome"; "Romeo" does not; "25 m" gives "25.0"; "25.7" does not give "25".
    """
    text = _plain(continuation)
    return any(_starts(text, answer) for answer in map(_plain, answers) if answer)


@dataclass(frozen=True, slots=True)
class Overlap:
    """How far a continuation and its answers overlap, from lenient to strict.

    within   an answer occurs, letter for letter, in the first five words (arXiv 2505.15962, for T-REx)
    strict   the continuation starts with an answer (`gives`)
    first    its first word is the first word of an answer
    exact    its first clause is an answer
    f1       the harmonic mean of precision and recall of the clause's words, for the answer with the highest value

    `first`, `exact` and `f1` compare words as SQuAD does (arXiv 1606.05250): in lower case, without punctuation and
    articles. A free continuation goes on after its answer, so that only its first clause is compared.
    """

    within: bool
    strict: bool
    first: bool
    exact: bool
    f1: float

    @classmethod
    def of(cls, continuation: str, answers: Iterable[str]) -> "Overlap":
        """Each rule takes the answer that suits it best."""
        answers = [answer for answer in answers if answer.strip()]
        opening = " ".join(continuation.split()[:WITHIN])
        # An answer may itself contain a comma or a full stop: as many clauses are compared as it has.
        pairs = [(_words(clause(continuation, answer)), _words(answer)) for answer in answers]
        return cls(
            within=any(answer in opening for answer in answers),
            strict=gives(continuation, answers),
            first=any(bool(words) and words[:1] == answer[:1] for words, answer in pairs),
            exact=any(bool(words) and words == answer for words, answer in pairs),
            f1=max((_f1(words, answer) for words, answer in pairs), default=0.0),
        )


def clause(text: str, like: str = "") -> str:
    """Return the first clause of a text, or as many clauses as `like` has."""
    ends = [match.start() for match in _CLAUSE_END.finditer(text) if text[: match.start()].strip()]
    inside = sum(1 for match in _CLAUSE_END.finditer(like) if like[match.end() :].strip())
    return text[: ends[inside]] if inside < len(ends) else text


def _plain(text: str) -> str:
    """NFKC, casefolded, single-spaced, without quotes, leading articles, or a space before a comma."""
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold()
    text = " ".join(text.split()).replace(" ,", ",").strip("' ")
    for article in _ARTICLES:
        if text.startswith(article + " "):
            return text.removeprefix(article).lstrip("' ")
    return text


def _starts(text: str, answer: str) -> bool:
    if _NUMBER.fullmatch(answer):
        match = _NUMBER.match(text)
        return match is not None and _ends_word(text, match.end()) and _number(match[0]) == _number(answer)
    return text.startswith(answer) and _ends_word(text, len(answer))


def _ends_word(text: str, end: int) -> bool:
    """Whether a word or number ends at `end`: "2" does not end in "2.5"."""
    if end >= len(text) or not text[end - 1].isalnum():
        return True
    inside_number = text[end - 1].isdigit() and text[end] in ".," and text[end + 1 : end + 2].isdigit()
    return not text[end].isalnum() and not inside_number


def _number(digits: str) -> float:
    return float(digits.replace(",", ""))


def _words(text: str) -> tuple[str, ...]:
    text = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(char for char in text if not unicodedata.category(char).startswith("P"))
    return tuple(word for word in kept.split() if word not in _ARTICLES)


def _f1(words: Sequence[str], answer: Sequence[str]) -> float:
    common = sum((Counter(words) & Counter(answer)).values())
    return 2 * common / (len(words) + len(answer)) if common else 0.0
