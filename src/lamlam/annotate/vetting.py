"""Which of the calls that a language model proposes may stand in a document, and why the others may not.

A call is made for the words that follow it: its value must be stated there, and its entity be known by then. One that
comes before its entity goes on to its value, where the entity is known by that. Where else a call stands is found by
`transfer` and `quotes`.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from lamlam.annotate.spans import Introductions, value_span
from lamlam.markup import AnnotatedDocument, Call, dblookup, tokens

__all__ = ["Drop", "Vetted", "Vetting"]

_LONGEST_FIELD = 300  # characters; what is longer is no name and no value


class Drop(StrEnum):
    """Why a proposed call was dropped."""

    MALFORMED = "malformed"  # cut off, nested, a field that is empty or no name
    ELSEWHERE = "surroundings_not_in_text"
    NO_VALUE = "value_does_not_follow"
    BEFORE_ENTITY = "before_its_entity"
    REPEATED = "repeated"
    QUOTED = "markup_of_the_text"  # the document itself spells this call out


@dataclass(frozen=True, slots=True)
class Vetted:
    """A document with the calls that may stand in it, and how many of those proposed were dropped, by reason."""

    document: AnnotatedDocument
    dropped: Counter[Drop] = field(default_factory=Counter)


class Vetting:
    """Takes the calls that are proposed for one document, in whatever order, and keeps those that may stand there."""

    def __init__(self, document: AnnotatedDocument) -> None:
        self._document = replace(document, calls=())
        self._introductions = Introductions(self._document)
        self._own = set(_own_markup(document.text))
        self._kept: dict[Call, None] = {}
        self._said: set[tuple[str, str, str]] = set()
        self._dropped: Counter[Drop] = Counter()

    def offer(self, call: Call) -> None:
        """Keep the call, or count why not."""
        call = replace(call, entity=call.entity.strip(), relation=call.relation.strip(), value=call.value.strip())
        placed = self._placed(call)
        if isinstance(placed, Drop):
            self._dropped[placed] += 1
        else:
            self._kept[placed] = None
            self._said.add(_proposition(placed))

    def reject(self, call: Call) -> None:
        """Count a call for which the text has no place; one that was kept elsewhere is only said again."""
        said = _proposition(call)
        reason = Drop.QUOTED if said in self._own else Drop.REPEATED if said in self._said else Drop.ELSEWHERE
        self._dropped[reason] += 1

    def malformed(self, count: int) -> None:
        """Count what began like a call and is none."""
        if count > 0:
            self._dropped[Drop.MALFORMED] += count

    def result(self) -> Vetted:
        return Vetted(replace(self._document, calls=tuple(self._kept)), self._dropped)

    def _placed(self, call: Call) -> Call | Drop:
        """The call where it may stand, or why it may not."""
        if not all(map(_is_name, _proposition(call))):
            return Drop.MALFORMED
        if _proposition(call) in self._own:
            return Drop.QUOTED
        span = value_span(self._document.text, call.value, call.at)
        if span is None:
            return Drop.NO_VALUE
        if not self._introductions.precede(call):
            call = replace(call, at=span[0])
            if not self._introductions.precede(call):
                return Drop.BEFORE_ENTITY
        return Drop.REPEATED if call in self._kept else call


def _proposition(call: Call) -> tuple[str, str, str]:
    return call.entity, call.relation, call.value


def _is_name(field: str) -> bool:
    return 0 < len(field) <= _LONGEST_FIELD and field.isprintable() and "dblookup(" not in field


def _own_markup(text: str) -> Iterator[tuple[str, str, str]]:
    """The calls that a plain text spells out, in either notation."""
    for notation in (dblookup, tokens):
        for call in notation.parse(text, lenient=True).calls:
            yield call.entity.strip(), call.relation.strip(), call.value.strip()
