"""What the text around a call states: the span of its value after it, and its entity before it.

A call says only where it is. Its value may be written differently ("14 February 1788" for "February 14, 1788"), a few
words later, or as a list with an "and" in it. Many values that language models write have no span: they paraphrase.
"""

import re
from functools import lru_cache

from lamlam.annotate.forms import Strength
from lamlam.annotate.mentions import MentionFinder
from lamlam.corpus import FactRecord
from lamlam.markup import AnnotatedDocument, Call
from lamlam.text import words

__all__ = ["Introductions", "facts_in", "value_span", "with_article"]

_REACH = 200  # characters after a call in which its value begins
_SLACK = 20  # characters by which a list may be longer in the text than 1.5 times the value
_ITEMS = re.compile(r",? (?:and|or|&) |[,;] ")
_NOT_BEFORE, _NOT_AFTER = r"(?<!\w)(?<!\d[.,])", r"(?!\w)(?![.,]\d)"
_ENDS = re.compile(_NOT_AFTER)
_SHORTEST_PART = 3
_CONNECTIVES = frozenset({"at", "by", "for", "from", "in", "on", "to", "with"})


def value_span(text: str, value: str, at: int) -> tuple[int, int] | None:
    """Return the characters [start, end) of `text`, at or after `at`, that state `value`, or None.

    Tried in this order: the value itself at the call; its first place; the first place of another way to write it; all
    items of a list, close together; a part that stands for it ("Houston" for Houston, Texas) or a near spelling; its
    words in another order.
    """
    start = at
    while text[start : start + 1].isspace():
        start += 1
    if value.strip() and text.startswith(value, start) and _ENDS.match(text, start + len(value)):
        return start, start + len(value)
    window = _window(text, at, len(value))
    if (place := _whole(window, value)) is None:
        finder = MentionFinder(window)
        place = _by_name(finder, value) or _list(finder, value) or _loose(finder, value)
    if place is None or place[0] > _REACH:
        return None
    start, end = at + place[0], at + place[1]
    return with_article(text, start, value), end + (text.startswith("%", end) and "%" in value)


def with_article(text: str, start: int, value: str) -> int:
    """Return where a mention starts, with the value's own article ("The Secret Scripture") if the text has it."""
    value = value.replace("_", " ")
    for article in ("The ", "A ", "An "):
        before = text[max(0, start - len(article)) : start]
        if value.casefold().startswith(article.casefold()) and before.casefold() == article.casefold():
            return start - len(article)
    return start


def facts_in(document: AnnotatedDocument) -> list[FactRecord]:
    """Return the facts that a document's calls name, with the document's id and, if it is found, the value's span."""
    facts = []
    for call in document.calls:
        start, end = value_span(document.text, call.value, call.at) or (None, None)
        facts.append(FactRecord(call.entity, call.relation, call.value, document.id, start, end))
    return facts


def _window(text: str, at: int, size: int) -> str:
    """Return the text after a call as far as its value may reach, up to the end of a word."""
    end = at + _REACH + size + size // 2 + _SLACK
    while end < len(text) and text[end].isalnum():
        end += 1
    return text[at:end]


def _whole(window: str, value: str) -> tuple[int, int] | None:
    """Return the first place of exactly this spelling, as whole words."""
    match = re.search(_NOT_BEFORE + re.escape(value) + _NOT_AFTER, window) if value.strip() else None
    return match.span() if match else None


def _by_name(finder: MentionFinder, value: str) -> tuple[int, int] | None:
    return _first(finder, value, Strength.NAME, Strength.VARIANT)


def _list(finder: MentionFinder, value: str) -> tuple[int, int] | None:
    """Return the place of all items of a list, if it is little longer than the value."""
    if len(items := _items(value)) < 2:
        return None
    places = [_whole(finder.text, item) or _by_name(finder, item) for item in items]
    found = [place for place in places if place is not None]
    if len(found) < len(items):
        return None
    start, end = min(start for start, _ in found), max(end for _, end in found)
    return (start, end) if end - start <= len(value) + len(value) // 2 + _SLACK else None


def _items(value: str) -> list[str]:
    return [item for item in _ITEMS.split(value) if item.strip()]


def _loose(finder: MentionFinder, value: str) -> tuple[int, int] | None:
    """Return the place of a part, a hint right at the call, or a near spelling; a list needs more than its first
    item.
    """
    if len(_items(value)) <= 2 and (part := _first(finder, value, Strength.PART, Strength.PART)):
        return part
    hints = finder.find(value, Strength.HINT, Strength.HINT)
    if hints and hints[0].first == 0:
        return hints[0].start, hints[0].end
    loose = finder.find_near(value) or finder.find_moved(value)
    return (loose[0].start, loose[0].end) if loose else None


def _first(finder: MentionFinder, name: str, strongest: Strength, weakest: Strength) -> tuple[int, int] | None:
    mentions = finder.find(name, strongest, weakest)
    return (mentions[0].start, mentions[0].end) if mentions else None


class Introductions:
    """The mentions of entities in one document; its title counts as read before its text."""

    def __init__(self, document: AnnotatedDocument) -> None:
        self._text, self._title = MentionFinder(document.text), MentionFinder(document.title)
        self._first: dict[str, int | None] = {}

    def precede(self, call: Call) -> bool:
        """Return whether the title, or the text before the call, mentions its entity or a usual part of the name.

        Usual parts are those that `forms` knows ("Houston" for Houston, Texas), and the first and last word,
        capitalised as in the name.
        """
        if call.entity not in self._first:
            self._first[call.entity] = self._first_end(call.entity)
        first = self._first[call.entity]
        return first is not None and first <= call.at

    def _first_end(self, entity: str) -> int | None:
        """Return where the first mention ends; 0 if the title has it, None if there is none."""
        if _first_end(self._title, entity) is not None:
            return 0
        return _first_end(self._text, entity)


def _first_end(finder: MentionFinder, entity: str) -> int | None:
    parts = _outer_words(entity)
    initials = entity[:1], *(word[0] for word in parts)
    found = [
        finder.first(entity, Strength.NAME, Strength.PART),
        finder.first(entity, Strength.HINT, Strength.HINT, beginning=initials),
        *(finder.first(word, Strength.NAME, Strength.NAME, beginning=initials) for word in parts),
    ]
    return min((mention.end for mention in found if mention is not None), default=None)


@lru_cache(maxsize=1 << 16)
def _outer_words(entity: str) -> tuple[str, ...]:
    every = [entity[word.start : word.end] for word in words(entity)]
    telling = [word for word in every if len(word) >= _SHORTEST_PART and word.casefold() not in _CONNECTIVES]
    return tuple(dict.fromkeys((telling[0], telling[-1]))) if telling else ()
