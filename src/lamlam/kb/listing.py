"""Facts in pages: those that hold and pass a filter, in the order of their ids, with bounded work for each page.

Entities, relations and documents are found by their indexes. A text within values is not: values are read one after the
other, some hundred thousand a second, and a page ends when it has looked at its share of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from lamlam.kb.fact import Fact
from lamlam.kb.names import normalise
from lamlam.kb.reader import Reader

__all__ = ["FactPage", "Filter", "list_facts"]

_LOOKED_AT = 20_000  # values that one page looks at
_STEP = 5_000


@dataclass(frozen=True, slots=True)
class FactPage:
    """Some facts, and the id from beyond which the next page goes on; None where nothing is left.

    A page may be short, or empty, and yet not the last: it stopped where its share of the work was done.
    """

    facts: tuple[Fact, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which facts pass: of any of some entities, in any of some relations, with a source in any of some documents, all
    by their numbers; with a text in the value, up to normalisation. None lets all pass."""

    entities: Sequence[int] | None = None
    relations: Sequence[int] | None = None
    documents: Sequence[int] | None = None
    text: str | None = None


def list_facts(reader: Reader, wanted: Filter, after: int, limit: int) -> FactPage:
    """The first `limit` facts, or fewer, of ids beyond `after`."""
    text = normalise(wanted.text or "")
    step = _STEP if text else limit + 1
    found: list[int] = []
    looked_at, last = 0, after
    while len(found) <= limit:
        rows = _rows(reader, wanted, last, step)
        found += [number for number, value in rows if text in normalise(value)] if text else [row[0] for row in rows]
        if len(rows) < step:
            last = -1
            break
        looked_at, last = looked_at + len(rows), rows[-1][0]
        if looked_at >= _LOOKED_AT:
            break
    more = found[limit - 1] if len(found) > limit else None if last < 0 else last
    return FactPage(tuple(reader.by_id(found[:limit])), more)


def _rows(reader: Reader, wanted: Filter, after: int, limit: int) -> list[tuple[int, str]]:
    """The next ids and values; of several entities or relations, each is asked for by its index."""
    places = product(_any(wanted.entities), _any(wanted.relations), _any(wanted.documents))
    rows = {row for place in places for row in reader.values_after(after, limit, *place)}
    return sorted(rows)[:limit]


def _any(numbers: Sequence[int] | None) -> Sequence[int | None]:
    return (None,) if numbers is None else numbers
