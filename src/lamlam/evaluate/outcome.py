"""What a continuation says of the fact that was asked for: one of four outcomes, which add up.

    right   the value asked for, by meaning (`meaning`)
    other   what is true of the entity, but not asked for: a value of another of its facts, a true part of the value
            asked for (a date's year, a surname), or words that the entity's own text goes on to say. Whether it is true
            in this very place is not judged: a publisher where a designer is asked for is "other"
    false   a value that is none of these
    none    no value: nothing, "unknown", or a text that names nothing

The value that comes first is judged, and nothing that is said behind it. What may stand before it are words of the
question itself ("The country of X is …") and what kind of thing it is ("the town of …", "singer …").
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from lamlam.evaluate.meaning import Likeness, Said
from lamlam.evaluate.results import Proportion
from lamlam.text import words

__all__ = ["Asked", "Outcome", "outcome", "shares"]

_UNKNOWN = re.compile(
    r"(?:it is |is |are |was )?(?:un|not )(?:known|clear|specified|stated|given|mentioned|available|recorded|certain)\b"
    r"|(?:i|we) (?:do not|don['’]t|cannot|can['’]t|am not sure) |(?:there is )?no (?:information|record|mention|data)\b"
    r"|n/a\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(  # short words with a capital before a full stop are abbreviations: St. Louis, Inc.
    r"(?<![A-Z][a-z])(?<![A-Z][a-z]{2})(?<=[a-z0-9)\"”])[.!?](?=\s|$)|\n"
)
_IDLE = frozenset({
    "a", "an", "in", "is", "was", "are", "were", "be", "by", "on", "at", "it", "he", "she", "they", "its", "his", "her",
    "their", "name", "named", "called", "known", "as", "to", "from", "this", "that", "for", "the", "of", "and",
    "located", "born", "answer",
})  # fmt: skip
_PLACES = frozenset({
    "town", "city", "village", "county", "state", "country", "province", "district", "region", "municipality", "island",
    "department", "community", "suburb", "neighbourhood", "neighborhood", "prefecture", "commune", "borough", "year",
    "month", "republic", "kingdom", "territory", "language",
})  # fmt: skip
_LINKS = frozenset({
    "with", "and", "in", "by", "for", "from", "at", "on", "to", "who", "which", "as", "or", "near", "after", "before",
    "but", "is", "was",
})  # fmt: skip
_MOST_KIND = 3  # words that tell what kind of thing a name is of
_LEAST_TRUE = 3  # letters of words that an entity's text says too
_SMALL = frozenset({"of", "the", "de", "la", "and", "von", "van", "del", "di", "da", "le"})


class Outcome(StrEnum):
    RIGHT = "right"
    OTHER = "other"
    FALSE = "false"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Asked:
    """The values that are right, those of the entity's other facts, and what else is true of it.

    `text` goes on from the prompt in the entity's own document; `names` are the question's own words (the entity, the
    relation), which an answer may repeat.
    """

    answers: tuple[str, ...]
    others: tuple[str, ...] = ()
    text: str = ""
    names: tuple[str, ...] = ()


def outcome(continuation: str, asked: Asked) -> Outcome:
    """The outcome of what was said of the fact asked for."""
    said = Said(_first_sentence(continuation))
    if not said.words or _UNKNOWN.match(said.text.strip(" \"'“(")):
        return Outcome.NONE
    idle = _IDLE | {word.key for name in asked.names for word in words(name)}
    places = _places(said, idle)
    if any(_best(said, asked.answers, at) is Likeness.SAME for at in (*places, *_behind_origin(said, places[-1]))):
        return Outcome.RIGHT
    if said.words[places[-1]].key in idle:
        return Outcome.NONE
    if _is_true(said, asked, places):
        return Outcome.RIGHT if _follows_in_chain(said, asked, places[-1]) else Outcome.OTHER
    return Outcome.FALSE if _names_something(said, asked.answers, places[-1]) else Outcome.NONE


def shares(outcomes: Iterable[Outcome]) -> dict[str, Proportion]:
    """The share of each outcome; they add up to 1."""
    counts = Counter(outcomes)
    return {str(each): Proportion(counts[each], counts.total()) for each in Outcome}


def _first_sentence(text: str) -> str:
    text = text.strip()
    end = _SENTENCE.search(text)
    return text[: end.start()] if end else text


def _places(said: Said, idle: frozenset[str]) -> list[int]:
    """Where the value may begin: at the first word, and behind words of the question and those that tell its kind."""
    first = next((at for at, word in enumerate(said.words) if word.key not in idle), len(said.words) - 1)
    return list(range(_behind_kind(said, first) + 1))


def _behind_kind(said: Said, first: int) -> int:
    """Where the name begins that a few words from `first` on say the kind of; `first` where they do not."""
    for at in range(first, min(first + _MOST_KIND + 1, len(said.words))):
        if _is_capital(said, at):
            between = said.text[said.words[at - 1].end : said.words[at].start] if at > first else " "
            joined = not between.strip() or (between.split() == ["of"] and said.words[at - 1].key in _PLACES)
            return at if joined else first
        gap = said.text[said.words[at - 1].end : said.words[at].start].strip() if at > first else ""
        if gap or said.words[at].key in _LINKS:
            return first
    return first


def _behind_origin(said: Said, first: int) -> list[int]:
    """Where a name begins behind where its bearer is from and what it is: "American director Steven Spielberg"."""
    kind = next((at for at in range(first, min(first + 3, len(said.words))) if not _is_capital(said, at)), first)
    name = _behind_kind(said, kind)
    gap = said.text[said.words[kind - 1].end : said.words[kind].start] if kind > first else ""
    return [name] if kind > first and name > kind and not gap.strip() else []


def _best(said: Said, values: Iterable[str], at: int) -> Likeness:
    return max((said.likeness(value, at) for value in values), default=Likeness.NONE)


def _is_true(said: Said, asked: Asked, places: list[int]) -> bool:
    if any(_best(said, (*asked.answers, *asked.others), at) for at in places):
        return True
    run = _run(said, places[-1])
    told = " ".join(run)
    return len(told) >= _LEAST_TRUE and bool(asked.text) and f" {told} " in _keys(asked.text)


def _run(said: Said, at: int) -> list[str]:
    """The name or number that begins at a word, else the two words there."""
    if not _is_capital(said, at):
        pair = [word.key for word in said.words[at : at + 2]]
        return pair if len(pair) == 2 else []
    run = [said.words[at].key]
    for place in range(at + 1, len(said.words)):
        between = said.text[said.words[place - 1].end : said.words[place].start]
        if not _is_capital(said, place) or not set(between.split()) <= _SMALL:
            break
        run.append(said.words[place].key)
    return run


def _is_capital(said: Said, at: int) -> bool:
    first = said.text[said.words[at].start]
    return first.isupper() or first.isdigit()


def _keys(text: str) -> str:
    return f" {' '.join(word.key for word in words(text))} "


def _follows_in_chain(said: Said, asked: Asked, at: int) -> bool:
    """Whether a true value goes on to the one asked for, as a place does: "Paris, France"."""
    for place in range(at + 1, len(said.words)):
        between = said.text[said.words[place - 1].end : said.words[place].start]
        if between.strip() == "," and _best(said, asked.answers, place) is Likeness.SAME:
            return True
        if not (between.strip() in ("", ",") and _is_capital(said, place)):
            return False
    return False


def _names_something(said: Said, answers: Iterable[str], at: int) -> bool:
    """Whether the words can be taken for a value of the kind asked for: a name or number where those are asked for."""
    names = all(answer[:1].isupper() or answer[:1].isdigit() for answer in answers)
    return not names or any(_is_capital(said, place) for place in range(at, len(said.words)))
