"""Where a text states the value of a call that stands in it.

A call says only where it stands. Its value may be written otherwise ("14 February 1788" for "February 14, 1788"), a few
words further on, or as a list with an "and" in it.
"""

from lamlam.annotate.forms import Strength
from lamlam.annotate.mentions import MentionFinder
from lamlam.corpus import FactRecord
from lamlam.markup import AnnotatedDocument

__all__ = ["facts_in", "value_span"]

_REACH = 200  # characters behind a call in which its value is looked for


def value_span(text: str, value: str, at: int) -> tuple[int, int] | None:
    """The characters [start, end) of `text`, at or behind `at`, that state `value`; None where none near does."""
    start = at + len(text[at:]) - len(text[at:].lstrip())
    if text.startswith(value, start):
        return start, start + len(value)
    finder = MentionFinder(text[at : at + _REACH])
    found = [_first(finder, item) for item in (value, *value.split(", "))]
    if found[0] is not None:
        return at + found[0][0], at + found[0][1]
    items = [item for item in found[1:] if item is not None]
    if not items or len(items) < len(found) - 1:
        return None
    return at + min(start for start, _ in items), at + max(end for _, end in items)


def facts_in(document: AnnotatedDocument) -> list[FactRecord]:
    """The facts that a document's calls name, with the document's id and, where it is found, the value's span."""
    facts = []
    for call in document.calls:
        start, end = value_span(document.text, call.value, call.at) or (None, None)
        facts.append(FactRecord(call.entity, call.relation, call.value, document.id, start, end))
    return facts


def _first(finder: MentionFinder, name: str) -> tuple[int, int] | None:
    mentions = finder.find(name, Strength.NAME, Strength.VARIANT)
    return (mentions[0].start, mentions[0].end) if mentions else None
