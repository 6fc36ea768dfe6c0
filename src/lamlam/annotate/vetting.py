"""Which of a language model's proposed calls a document keeps, and why the others are dropped.

A call is for the words that follow it: its value must be stated there, and its entity be known by then. A call that
comes before its entity is moved on to its value, if the entity is known by then. Other moves are left to `transfer`.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from lamlam.annotate.spans import Introductions, value_span
from lamlam.markup import AnnotatedDocument, Call, dblookup, tokens

__all__ = ["Drop", "Vetted", "Vetting"]

_LONGEST_FIELD = 300  # characters of a name or value


class Drop(StrEnum):
    """Why a proposed call was dropped."""

    MALFORMED = "malformed"  # cut off, nested, or with an invalid field
    ELSEWHERE = "surroundings_not_in_text"
    NO_VALUE = "value_does_not_follow"
    BEFORE_ENTITY = "before_its_entity"
    REPEATED = "repeated"
    QUOTED = "markup_of_the_text"  # the document's own text spells this call out


@dataclass(frozen=True, slots=True)
class Vetted:
    """A document with the calls that were kept, and how many were dropped, by reason."""

    document: AnnotatedDocument
    dropped: Counter[Drop] = field(default_factory=Counter)


class Vetting:
    """Takes the calls proposed for one document, in any order, and keeps the good ones."""

    def __init__(self, document: AnnotatedDocument) -> None:
        self._document = replace(document, calls=())
        self._introductions = Introductions(self._document)
        self._own = set(_own_markup(document.text))
        self._kept: dict[Call, None] = {}
        self._triples: set[tuple[str, str, str]] = set()
        self._dropped: Counter[Drop] = Counter()

    def offer(self, call: Call) -> None:
        """Keep the call, or count why not."""
        call = replace(call, entity=call.entity.strip(), relation=call.relation.strip(), value=call.value.strip())
        placed = self._placed(call)
        if isinstance(placed, Drop):
            self._dropped[placed] += 1
        else:
            self._kept[placed] = None
            self._triples.add(_triple(placed))

    def reject(self, call: Call) -> None:
        """Count a call for which the text has no place; one that was kept elsewhere is a repetition."""
        triple = _triple(call)
        reason = Drop.QUOTED if triple in self._own else Drop.REPEATED if triple in self._triples else Drop.ELSEWHERE
        self._dropped[reason] += 1

    def malformed(self, count: int) -> None:
        """Count what began like a call but isn't one."""
        if count > 0:
            self._dropped[Drop.MALFORMED] += count

    def result(self) -> Vetted:
        return Vetted(replace(self._document, calls=tuple(self._kept)), self._dropped)

    def _placed(self, call: Call) -> Call | Drop:
        """Return the call at its place, or why it is dropped."""
        if not all(map(_is_name, _triple(call))):
            return Drop.MALFORMED
        if _triple(call) in self._own:
            return Drop.QUOTED
        span = value_span(self._document.text, call.value, call.at)
        if span is None:
            return Drop.NO_VALUE
        if not self._introductions.precede(call):
            call = replace(call, at=span[0])
            if not self._introductions.precede(call):
                return Drop.BEFORE_ENTITY
        return Drop.REPEATED if call in self._kept else call


def _triple(call: Call) -> tuple[str, str, str]:
    return call.entity, call.relation, call.value


def _is_name(field: str) -> bool:
    return 0 < len(field) <= _LONGEST_FIELD and field.isprintable() and "dblookup(" not in field


def _own_markup(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the calls that a plain text spells out, in either notation."""
    for notation in (dblookup, tokens):
        for call in notation.parse(text, lenient=True).calls:
            yield call.entity.strip(), call.relation.strip(), call.value.strip()
