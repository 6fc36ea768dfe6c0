"""How far a continuation and its answers overlap: five rules, from lenient to strict, over the same continuation.

    within   an answer occurs, letter for letter, in the first five words; the rule of the paper's T-REx figures
             (arXiv 2505.15962; in its code the five words behind the prompt)
    strict   the continuation starts with an answer (`answers.gives`)
    first    its first word is an answer's first word
    exact    its first clause is an answer
    f1       the harmonic mean of precision and recall of the clause's words, of the answer that has most of it

`first`, `exact` and `f1` compare words as SQuAD does (arXiv 1606.05250): in lower case, without punctuation and
articles. A free continuation goes on behind its answer; what is compared ends with its first clause, and a clause that
says more than the value is not exact.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lamlam.evaluate.answers import gives
from lamlam.evaluate.results import Share, stated

__all__ = ["RULES", "WITHIN", "Overlap", "clause", "shares"]

WITHIN = 5
"""Words of the continuation in which an answer may occur."""

RULES = ("within", "strict", "first", "exact")

_CLAUSE_END = re.compile(r"(?<!\b[A-Z])[.!?](?=\s|$)|[;:\n]|,(?!\d)|\s[(–—]")
_ARTICLES = {"a", "an", "the"}


@dataclass(frozen=True, slots=True)
class Overlap:
    """The five figures of one continuation."""

    within: bool
    strict: bool
    first: bool
    exact: bool
    f1: float

    @classmethod
    def of(cls, continuation: str, answers: Iterable[str]) -> "Overlap":
        """Each rule by itself, for whichever answer serves it best."""
        answers = [answer for answer in answers if answer.strip()]
        opening = " ".join(continuation.split()[:WITHIN])
        wanted = [_words(answer) for answer in answers]
        # An answer may itself hold a comma or a point: as many clauses are compared as it has.
        said = [_words(clause(continuation, answer)) for answer in answers]
        pairs = list(zip(said, wanted, strict=True))
        return cls(
            within=any(answer in opening for answer in answers),
            strict=gives(continuation, answers),
            first=any(bool(a) and a[:1] == b[:1] for a, b in pairs),
            exact=any(bool(a) and a == b for a, b in pairs),
            f1=max((_f1(a, b) for a, b in pairs), default=0.0),
        )


def shares(overlaps: Sequence[Overlap]) -> dict[str, Any]:
    """Each rule's share of all cases under its name, the mean of `f1`, `n`, and counts and intervals in `detail`."""
    by_rule = {rule: Share.of([getattr(each, rule) for each in overlaps]) for rule in RULES}
    f1 = round(sum(each.f1 for each in overlaps) / len(overlaps), 6) if overlaps else None
    return stated(by_rule) | {"f1": f1, "n": len(overlaps)}


def clause(text: str, like: str = "") -> str:
    """The first clause of a text, or as many as the text `like` has."""
    ends = [match.start() for match in _CLAUSE_END.finditer(text) if text[: match.start()].strip()]
    inside = sum(1 for match in _CLAUSE_END.finditer(like) if like[match.end() :].strip())
    return text[: ends[inside]] if inside < len(ends) else text


def _words(text: str) -> tuple[str, ...]:
    text = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(char for char in text if not unicodedata.category(char).startswith("P"))
    return tuple(word for word in kept.split() if word not in _ARTICLES)


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted)) if common else 0.0
