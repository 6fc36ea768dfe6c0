"""What must go together: a fact, what it superseded, and every fact that states the same in other words.

In other words means: under another spelling or alias of the entity, of the relation or of the value, in a relation of
the same words, in one that a lookup would take for the same (`kb.matching`), or the other way round in a relation that
was declared the inverse. Erasing is left to `kb.forget`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from lamlam.errors import InputError
from lamlam.kb.database import Database
from lamlam.kb.fact import Fact
from lamlam.kb.names import normalise
from lamlam.kb.reader import Name, Reader
from lamlam.kb.resolve import Resolver
from lamlam.kb.similarity import relation_key
from lamlam.kb.synonyms import Synonyms

__all__ = ["Closure", "Reason", "Selection"]

_RELATED = 1000


class Reason(StrEnum):
    """Why a fact is to be erased."""

    ASKED = "asked"
    SUPERSEDED = "superseded by one of these"
    SAME = "states the same"
    MEANT = "means the same"
    INVERSE = "states the same the other way round"


@dataclass(slots=True)
class Selection:
    """What is to be erased: facts by id, each with the reason; a document; how many sources.

    `related` are other facts from which an erased one might be inferred, at most a thousand: of the same entity with
    the same value, or of the value with the entity.
    """

    facts: dict[int, Reason]
    document: str | None = None
    sources: int = 0
    related: tuple[int, ...] = ()


class Closure:
    """Reads what stands now, past facts included."""

    def __init__(self, database: Database, resolver: Resolver) -> None:
        self._database, self._resolver = database, resolver
        self._reader, self._synonyms = Reader(database), Synonyms(database)
        self._statements: dict[frozenset[str], dict[str, list[_Statement]]] = {}

    def select(
        self,
        fact_id: int | None = None,
        entity: str | None = None,
        relation: str | None = None,
        value: str | None = None,
        source: str | None = None,
    ) -> Selection:
        """The facts that a description names, past ones too, and all that state the same. Raises `InputError` for none.

        A document's facts are those that no other document states; the others lose this source only.
        """
        self._statements.clear()
        stated = [] if source is None else self._of_document(source)
        if source is not None:
            chosen = [fact for fact in stated if self._reader.stated_only_in(fact, source)]
        elif fact_id is not None:
            chosen = [fact.id for fact in self._reader.by_id([fact_id])]
        else:
            chosen = self._described(entity, relation, value)
        if not chosen and not stated:
            raise InputError("there is nothing to forget: no fact is so described")
        closed, related = self._closed(chosen)
        sources = sum(len(fact.sources) for fact in self._reader.by_id(list(closed)))
        sources += sum(fact not in closed for fact in stated)
        return Selection(closed, source, sources, related)

    # Names of one thing

    def entity_names(self, entity: str, *, exact: bool = True) -> set[str]:
        """The normalised names of an entity: its own, its aliases, and those of which it is itself an alias.

        Or of every entity that is so spelled, where `exact` is false.
        """
        norm = normalise(entity)
        sql = f"""
            SELECT a.name FROM entity_spelling s JOIN entity e ON e.id = s.target JOIN entity_alias a ON a.target = e.id
            WHERE s.norm = ? AND s.alias = 0 {"AND e.name = ?" if exact else ""} AND a.until = 0
            UNION SELECT e.name FROM entity_spelling s JOIN entity_alias a ON a.id = s.alias
            JOIN entity e ON e.id = s.target WHERE s.norm = ? AND s.alias > 0 AND a.until = 0
        """
        named = (entity,) if exact else ()
        return {norm, *(normalise(row[0]) for row in self._database.rows(sql, (norm, *named, norm)))}

    def relation_names(self, relation: str) -> set[str]:
        """The normalised names of a relation: its own and those that aliases declare to mean the same."""
        return {normalise(relation), *self._reader.relation_synonyms(relation)}

    def values(self, value: str) -> set[str]:
        """The normalised values that a value is."""
        return self._synonyms.values(value)

    def inverses(self, relation: str) -> set[str]:
        """The normalised names of the relations that say the same the other way round."""
        return {inverse for name in self.relation_names(relation) for inverse in self._synonyms.inverses(name)}

    # What is described

    def _of_document(self, document: str) -> list[int]:
        """A fact's id for each place where the document states it."""
        sql = "SELECT s.fact FROM source s JOIN document d ON d.id = s.document WHERE d.name = ? ORDER BY s.fact"
        return [row[0] for row in self._database.rows(sql, (document,))]

    def _described(self, entity: str | None, relation: str | None, value: str | None) -> list[int]:
        values = None if value is None else self.values(value)
        if entity is None and relation is None:
            return [fact.id for each in sorted(values or ()) for fact in self._reader.valued_ever(each)]
        where, parameters = [], []
        if entity is not None:
            where.append("f.entity = ?")
            parameters.append(self._reader.owner(entity).id)
        if relation is not None:
            kinds = self._relations(relation)
            where.append(f"{'+' if entity is not None else ''}f.relation IN ({_marks(kinds)})")
            parameters += kinds
        sql = "SELECT f.id, f.value FROM fact f WHERE " + " AND ".join(where)
        rows = self._database.rows(sql, parameters)
        return [row[0] for row in rows if values is None or normalise(row[1]) in values]

    def _relations(self, relation: str) -> list[int]:
        names = self.relation_names(relation)
        sql = f"SELECT target FROM relation_spelling WHERE alias = 0 AND norm IN ({_marks(names)})"
        return [row[0] for row in self._database.rows(sql, tuple(names))]

    # What goes with it

    def _closed(self, chosen: Iterable[int]) -> tuple[dict[int, Reason], tuple[int, ...]]:
        """The facts chosen and all that go with them, by id, and the facts related to these that stay."""
        closed: dict[int, Reason] = {}
        related: set[int] = set()
        waiting = dict.fromkeys(chosen, Reason.ASKED)
        while waiting:
            closed |= waiting
            reached: dict[int, Reason] = {}
            for fact in self._reader.by_id(sorted(waiting)):
                for number, reason in self._with(fact):
                    if reason is None:
                        related.add(number)
                    else:
                        reached.setdefault(number, reason)
            waiting = {number: reason for number, reason in reached.items() if number not in closed}
        return dict(sorted(closed.items())), tuple(sorted(related - closed.keys())[:_RELATED])

    def _with(self, fact: Fact) -> Iterator[tuple[int, Reason | None]]:
        """The facts that go with one, each with the reason, and those that are but related to it, without."""
        if fact.supersedes is not None:
            yield fact.supersedes, Reason.SUPERSEDED
        names, values = self.entity_names(fact.entity), self.values(fact.value)
        relations = _with_keys(self.relation_names(fact.relation))
        inverses = _with_keys(self.inverses(fact.relation))
        for each in self._stating(names, values):
            if _is_one_of(each.relation.name, relations):
                yield each.fact, Reason.SAME
            else:
                meant = self._resolver.means(each.entity, each.relation, fact.relation)
                yield each.fact, Reason.MEANT if meant else None
        owners = {name for value in values for name in self.entity_names(value, exact=False)}
        for each in self._stating(owners, names):
            yield each.fact, Reason.INVERSE if _is_one_of(each.relation.name, inverses) else None

    def _stating(self, names: set[str], values: set[str]) -> Iterator["_Statement"]:
        """The facts that give an entity of one of these names one of these values."""
        key = frozenset(names)
        statements = self._statements[key] if key in self._statements else self._read(names)
        for value in values:
            yield from statements.get(value, ())

    def _read(self, names: set[str]) -> dict[str, list["_Statement"]]:
        """All that is stated of the entities of these names, by normalised value; read once for each."""
        sql = f"""
            SELECT f.id, f.entity, r.id, r.name, f.value FROM entity_spelling s JOIN fact f ON f.entity = s.target
            JOIN relation r ON r.id = f.relation WHERE s.alias = 0 AND s.norm IN ({_marks(names)})
        """
        statements: dict[str, list[_Statement]] = defaultdict(list)
        for fact, entity, number, name, value in self._database.rows(sql, tuple(names)):
            statements[normalise(value)].append(_Statement(fact, entity, Name(number, name, normalise(name))))
        self._statements[frozenset(names)] = statements
        return statements


class _Statement(NamedTuple):
    """A fact by its id, the entity by its own, and the relation."""

    fact: int
    entity: int
    relation: Name


def _with_keys(names: set[str]) -> tuple[set[str], set[str]]:
    """Names of a relation, and what relations of the same words have in common with them."""
    return names, {relation_key(name) for name in names}


def _is_one_of(relation: str, known: tuple[set[str], set[str]]) -> bool:
    """Whether a relation has one of these names, or the same words as one of them."""
    names, keys = known
    return normalise(relation) in names or relation_key(relation) in keys


def _marks(values: Iterable[object]) -> str:
    return ",".join("?" for _ in values)
