"""What can be asked of a knowledge base, as it is now or as it was at a revision.

Pages of facts take bounded work: entities, relations and documents are found by their indexes; a text within values is
not, so values are read one after the other, and a page ends when it has read its share of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from lamlam.errors import InputError
from lamlam.kb.fact import Fact, Resolution, Status
from lamlam.kb.names import normalise
from lamlam.kb.reader import FactReader
from lamlam.kb.resolve import Resolver
from lamlam.kb.summary import content_digest

__all__ = ["FactPage", "Filter", "View", "list_facts"]

_LOOKED_AT = 20_000  # values that one page looks at
_STEP = 5_000


@dataclass(frozen=True, slots=True)
class FactPage:
    """Some facts, and the id after which the next page begins; None if nothing is left.

    A page may be short, or empty, and yet not be the last: it ended when it had read its share of values.
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


def list_facts(reader: FactReader, wanted: Filter, after: int, limit: int) -> FactPage:
    """Return the first `limit` facts, or fewer, with ids beyond `after`."""
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


def _rows(reader: FactReader, wanted: Filter, after: int, limit: int) -> list[tuple[int, str]]:
    """Return the next ids and values; each of several entities or relations is looked up by its index."""
    places = product(_any(wanted.entities), _any(wanted.relations), _any(wanted.documents))
    rows = {row for place in places for row in reader.values_after(after, limit, *place)}
    return sorted(rows)[:limit]


def _any(numbers: Sequence[int] | None) -> Sequence[int | None]:
    return (None,) if numbers is None else numbers


class View:
    """Read-only questions. Strings are taken as they come; names are compared in their normalised form."""

    def __init__(self, reader: FactReader, resolver: Resolver) -> None:
        self._reader, self._resolver = reader, resolver

    def lookup(self, entity: str, relation: str) -> Resolution:
        """Return the facts of an entity in a relation, or an honest status (`kb.resolve`), all of one revision."""
        with self._reader.database.snapshot():
            return self._resolver.lookup(entity, relation)

    def lookup_many(self, pairs: Iterable[tuple[str, str]]) -> list[Resolution]:
        """Look up each (entity, relation), in order, all in one revision."""
        with self._reader.database.snapshot():
            return self._resolver.lookup_many(list(pairs))

    def nearest(self, entity: str, relation: str) -> Resolution:
        """Return the most similar fact by string, however unlike: what others do. For comparison only."""
        return self._resolver.nearest(entity, relation)

    def fact(self, fact_id: int) -> Fact:
        """Return a fact by its id, whether or not it still holds. Raises `InputError` if there is none."""
        fact = self._reader.fact(fact_id)
        if fact is None:
            raise InputError(f"there is no fact {fact_id}")
        return fact

    def facts(self, entity: str | None = None, relation: str | None = None) -> Iterator[Fact]:
        """Yield the facts that hold, in the order of their ids: all, or those of an entity, or in a relation."""
        owner = None
        if entity is not None:
            found = self._resolver.entity(entity)
            if found.status not in (Status.EXACT, Status.ALIAS):
                return
            owner = found.names[0].id
        kinds = [None] if relation is None else [row.id for row in self._reader.relations_spelled(relation)]
        for kind in kinds:
            yield from self._reader.facts(owner, kind)

    def facts_by_id(self, ids: Sequence[int]) -> list[Fact]:
        """Return the facts with these ids, whether or not they still hold, ordered by id; missing ids are skipped."""
        return self._reader.by_id(ids)

    def page(
        self,
        *,
        entity: str | None = None,
        relation: str | None = None,
        source: str | None = None,
        text: str | None = None,
        after: int = 0,
        limit: int = 50,
    ) -> FactPage:
        """Return facts that hold and have ids beyond `after`, in order: of an entity, in a relation (by name or alias),
        with a source in a document, with `text` in the value."""
        reader = self._reader
        with reader.database.snapshot():
            entities = None if entity is None else [row.id for row in reader.entities_meant(entity)[0]]
            relations = None if relation is None else self._relations_called(relation)
            documents = None if source is None else [reader.document(source) or 0]
            return list_facts(reader, Filter(entities, relations, documents, text), after, limit)

    def _relations_called(self, name: str) -> list[int]:
        names = {name, *self._reader.relation_synonyms(name)}
        return sorted({row.id for spelling in names for row in self._reader.relations_spelled(spelling)})

    def aliases_of(self, entity: str) -> list[tuple[str, int]]:
        """Return the aliases of an entity, itself given by name or alias, each with the revision that made it."""
        with self._reader.database.snapshot():
            return self._reader.aliases_of([row.id for row in self._reader.entities_meant(entity)[0]])

    def statements(self) -> Iterator[tuple[str, str, str]]:
        """Yield (entity, relation, value) of every fact that holds, those of an entity together: names alone, read
        quickly.

        Read it to its end, or close it, before the knowledge base is written.
        """
        return self._reader.statements()

    def relations_of(self, entity: str) -> list[str]:
        """Return the relations in which an entity, given by name or alias, has or had facts; none for an unknown
        entity.

        Relations whose facts were all retracted or forgotten count. A model that is restricted to these relations must
        be able to ask for the one that is gone, and learn that it is; restricted to the others, it would ask for
        something else and get a wrong answer. If a relation that the entity lost cannot be named any more (see
        `Resolver.relations_had`), the list is empty, and the model is free.
        """
        found = self._resolver.entity(entity)
        if found.status not in (Status.EXACT, Status.ALIAS):
            return []
        return [row.name for row in self._resolver.relations_had(found.names[0], entity)]

    def relation_spellings(self, relation: str) -> list[str]:
        """Return the spellings in which relations have this name, up to normalisation."""
        return [row.name for row in self._reader.relations_spelled(relation)]

    def entities_named(self, names: Sequence[str]) -> dict[str, str]:
        """Map each of `names` that belongs to one entity, by name or alias, to that entity's canonical name.

        An exact name comes before a normalised one, that before an alias; a name that several entities with facts share
        is left out. An entity whose facts were all retracted counts, and a name of one that was forgotten whole stands
        for itself: a model that is restricted to the names in a text must be able to ask for these, and learn that
        nothing is there. Otherwise it would ask for another entity, and get that one's fact.
        """
        found = self._reader.entities_named(names)
        forgotten = self._resolver.forgotten_entities(name for name in names if name not in found)
        return found | {name: name for name in forgotten}

    def entities_starting(self, prefix: str, limit: int = 100) -> list[str]:
        """Return names and aliases of entities with facts whose normalised form starts with the normalised prefix."""
        return self._reader.entities_starting(prefix, limit)

    def names_starting(self, prefix: str, limit: int = 100) -> list[tuple[str, str]]:
        """Return the same, each with the entity it names; an alias of several entities appears once for each."""
        return list(dict.fromkeys(self._reader.names_starting(prefix, limit)))

    def aliases(self) -> Iterator[tuple[str, str, str]]:
        """Yield ("entity" or "relation", alias, name) for every alias of what has facts."""
        return self._reader.aliases()

    def digest(self) -> str:
        """Return a digest of the content: facts that hold, their sources, aliases; not of ids, order or history."""
        return content_digest(self._reader)
