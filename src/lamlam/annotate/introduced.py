"""Whether a reader knows a call's entity by the time the call comes."""

from functools import lru_cache

from lamlam.annotate.forms import Strength
from lamlam.annotate.mentions import MentionFinder
from lamlam.markup import AnnotatedDocument, Call
from lamlam.text import words

__all__ = ["Introductions"]

_SHORTEST_PART = 3
_CONNECTIVES = frozenset({"at", "by", "for", "from", "in", "on", "to", "with"})


class Introductions:
    """The mentions of entities in one document; its title counts as read before its text."""

    def __init__(self, document: AnnotatedDocument) -> None:
        self._text, self._title = MentionFinder(document.text), MentionFinder(document.title)
        self._first: dict[str, int | None] = {}

    def precede(self, call: Call) -> bool:
        """Whether the call's entity, or a usual part of its name, is mentioned in the title or left of the call.

        A usual part is what `forms` knows as one ("Houston" for Houston, Texas), and the first and the last word, in
        capitals where the name has them.
        """
        if call.entity not in self._first:
            self._first[call.entity] = self._first_end(call.entity)
        first = self._first[call.entity]
        return first is not None and first <= call.at

    def _first_end(self, entity: str) -> int | None:
        """Where the first mention ends; 0 for one in the title, None where there is none."""
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
