"""What must go together: a fact, what it superseded, and every fact that states the same in other words.

In other words means: under another spelling or alias of the entity, the relation or the value, in a relation of the
same words, in one that a lookup would take for the same (`kb.matching`), or the other way round in a relation that was
declared the inverse. With an entity go, if asked for, the facts of others that mention it (`kb.traces`). Erasing is
left to `kb.forget`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from lamlam.errors import InputError
from lamlam.kb.database import Database
from lamlam.kb.fact import Fact
from lamlam.kb.names import canonical, normalise
from lamlam.kb.reader import FactReader, NameRow
from lamlam.kb.resolve import Resolver
from lamlam.kb.similarity import relation_key
from lamlam.kb.traces import EntityTrace, Traces, included

__all__ = ["Closure", "Description", "ErasureReason", "Selection"]

_RELATED = 1000


class ErasureReason(StrEnum):
    """Why a fact is to be erased."""

    ASKED = "asked"
    SUPERSEDED = "superseded by one of these"
    SAME = "states the same"
    MEANT = "means the same"
    INVERSE = "states the same the other way round"


_INFERRED = "an erased one might be inferred from it"


@dataclass(frozen=True, slots=True)
class Description:
    """What to forget: a fact by its id, or all of an entity, relation and value, or what a document states.

    `include` names what goes with an entity that is forgotten whole (`kb.traces`). Raises `InputError` unless it is
    just one of the three.
    """

    fact: int | None = None
    entity: str | None = None
    relation: str | None = None
    value: str | None = None
    source: str | None = None
    include: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given = (self.fact, self.entity or self.relation or self.value, self.source)
        if sum(part is not None for part in given) != 1:
            raise InputError("say what to forget: a fact's id, or entity, relation and value, or a source")

    @property
    def asked(self) -> dict[str, Any]:
        """The fields that are given."""
        fields = ("fact", "entity", "relation", "value", "source")
        return {field: text for field in fields if (text := getattr(self, field)) is not None}

    @property
    def whole(self) -> str | None:
        """The entity, if all of it is described."""
        return self.entity if self.relation is None and self.value is None else None


@dataclass(slots=True)
class Selection:
    """What is to be erased: facts by id, each with the reason; documents; how many sources.

    `related` are facts that stay although they reveal what is erased, at most a thousand, each with the reason: of the
    same entity with the same value, or of the value with the entity; and what mentions an entity that is erased whole.
    `left` counts all of them by the reason.
    """

    facts: dict[int, StrEnum]
    documents: tuple[str, ...] = ()
    sources: int = 0
    related: Mapping[int, str] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)


class Closure:
    """Reads what is there now, past facts included."""

    def __init__(self, database: Database, resolver: Resolver) -> None:
        self._database, self._resolver = database, resolver
        self._reader = FactReader(database)
        self._traces = Traces(database)
        self._statements: dict[frozenset[str], dict[str, list[_Statement]]] = {}

    def select(self, described: Description) -> Selection:
        """Return the facts that are described, past ones too, and all that state the same.

        Of a document's facts those go that no other document states; the others lose this source only. Raises
        `InputError` if nothing matches.
        """
        self._statements.clear()
        wanted, whole = included(described.include), described.whole
        if wanted and whole is None:
            raise InputError("facts that mention an entity can be included only if all of the entity is forgotten")
        documents: tuple[str, ...] = () if described.source is None else (described.source,)
        traces: dict[int, EntityTrace] = {}
        if whole is not None:
            chosen, traces, named = self._tracing(whole)
            documents = named if EntityTrace.DOCUMENT in wanted else ()
        else:
            chosen = self._named(described)
        stated = [fact for document in documents for fact in self._of_document(document)]
        chosen += [fact for fact in stated if self._reader.stated_only_in(fact, documents)]
        read = set(chosen)  # of those that were read in a document named after it, what no other document states
        also = {
            fact: why
            for fact, why in traces.items()
            if (fact in read if why is EntityTrace.DOCUMENT else why in wanted)
        }
        if not chosen and not stated and not also:
            raise _nothing(whole, len(traces))
        closed, inferred = self._closed({**dict.fromkeys(chosen, ErasureReason.ASKED), **also})
        lost = set(stated) if EntityTrace.DOCUMENT in wanted else set()
        related = {
            fact: str(trace)
            for fact, trace in traces.items()
            if fact not in closed and not (trace is EntityTrace.DOCUMENT and fact in lost)
        }
        related |= dict.fromkeys(sorted(inferred - closed.keys() - related.keys()), _INFERRED)
        sources = sum(len(fact.sources) for fact in self._reader.by_id(list(closed)))
        sources += sum(fact not in closed for fact in stated)
        shown = dict(sorted(related.items())[:_RELATED])
        return Selection(closed, documents, sources, shown, Counter(related.values()))

    def _named(self, described: Description) -> list[int]:
        """Return the facts that are described by an id, or by entity, relation and value."""
        if described.source is not None:
            return []
        if described.fact is not None:
            return [fact.id for fact in self._reader.by_id([described.fact])]
        owner = None if described.entity is None else self._reader.owner(described.entity).id
        return self._described(owner, described.relation, described.value)

    def _tracing(self, entity: str) -> tuple[list[int], dict[int, EntityTrace], tuple[str, ...]]:
        """Return an entity's own facts, those of others that mention it, and the documents that are named after it."""
        owner = self._reader.owner(entity) if self._reader.entities_meant(entity)[0] else None
        number = None if owner is None else owner.id
        names = self._spelled(owner, entity)
        values = {value for name in names for value in self.values(name)}
        own = [] if number is None else self._described(number, None, None)
        traces = self._traces.of(number, names, values, self._resolver.settings().entity)
        others = {fact: trace for fact, trace in traces.items() if fact not in set(own)}
        return own, others, tuple(self._traces.documents(names).values())

    def _spelled(self, owner: NameRow | None, entity: str) -> list[str]:
        """Return the names of an entity as they are spelled, its own first."""
        if owner is None:
            return [entity]
        return [owner.name, *(alias for alias, _ in self._reader.aliases_of([owner.id]))]

    # Names of one thing

    def entity_names(self, entity: str, *, exact: bool = True) -> set[str]:
        """Return the normalised names of an entity: its own, its aliases, and those of which it is itself an alias.

        Unless `exact`, those of every entity of the same normalised name.
        """
        norm = normalise(entity)
        sql = f"""
            SELECT a.name FROM entity_spelling s JOIN entity e ON e.id = s.target JOIN entity_alias a ON a.target = e.id
            WHERE s.norm = ? AND s.alias = 0 {"AND e.name = ?" if exact else ""} AND a.until = 0
            UNION SELECT e.name FROM entity_spelling s JOIN entity_alias a ON a.id = s.alias
            JOIN entity e ON e.id = s.target WHERE s.norm = ? AND s.alias > 0 AND a.until = 0
        """
        named = (canonical(entity),) if exact else ()
        return {norm, *(normalise(row[0]) for row in self._database.rows(sql, (norm, *named, norm)))}

    def relation_names(self, relation: str) -> set[str]:
        """Return the normalised names of a relation: its own and those that aliases declare to mean the same."""
        return {normalise(relation), *self._reader.relation_synonyms(relation)}

    def values(self, value: str) -> set[str]:
        """Return the normalised values that are the same as a value."""
        return self._reader.same_values(value)

    def inverses(self, relation: str) -> set[str]:
        """Return the normalised names of the relations that say the same the other way round."""
        return {inverse for name in self.relation_names(relation) for inverse in self._reader.inverses(name)}

    # What is described

    def _of_document(self, document: str) -> list[int]:
        """Return a fact's id for each place where the document states it."""
        sql = "SELECT s.fact FROM source s JOIN document d ON d.id = s.document WHERE d.name = ? ORDER BY s.fact"
        return [row[0] for row in self._database.rows(sql, (document,))]

    def _described(self, entity: int | None, relation: str | None, value: str | None) -> list[int]:
        values = None if value is None else self.values(value)
        if entity is None and relation is None:
            return [fact.id for norm in sorted(values or ()) for fact in self._reader.valued_ever(norm)]
        where, parameters = [], []
        if entity is not None:
            where.append("f.entity = ?")
            parameters.append(entity)
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

    def _closed(self, chosen: Mapping[int, StrEnum]) -> tuple[dict[int, StrEnum], set[int]]:
        """Return the facts chosen and all that go with them, by id, and the facts related to these."""
        closed: dict[int, StrEnum] = {}
        related: set[int] = set()
        waiting = dict(chosen)
        while waiting:
            closed |= waiting
            reached: dict[int, StrEnum] = {}
            for fact in self._reader.by_id(sorted(waiting)):
                for number, reason in self._with(fact):
                    if reason is None:
                        related.add(number)
                    else:
                        reached.setdefault(number, reason)
            waiting = {number: reason for number, reason in reached.items() if number not in closed}
        return dict(sorted(closed.items())), related

    def _with(self, fact: Fact) -> Iterator[tuple[int, ErasureReason | None]]:
        """Yield the facts that go with one, each with the reason, and those that are only related to it, without."""
        if fact.supersedes is not None:
            yield fact.supersedes, ErasureReason.SUPERSEDED
        names, values = self.entity_names(fact.entity), self.values(fact.value)
        relations = _with_keys(self.relation_names(fact.relation))
        inverses = _with_keys(self.inverses(fact.relation))
        for statement in self._stating(names, values):
            if _is_one_of(statement.relation.name, relations):
                yield statement.fact, ErasureReason.SAME
            else:
                meant = self._resolver.means(statement.entity, statement.relation, fact.relation)
                yield statement.fact, ErasureReason.MEANT if meant else None
        owners = {name for value in values for name in self.entity_names(value, exact=False)}
        for statement in self._stating(owners, names):
            yield statement.fact, ErasureReason.INVERSE if _is_one_of(statement.relation.name, inverses) else None

    def _stating(self, names: set[str], values: set[str]) -> Iterator["_Statement"]:
        """Yield the facts that give an entity of one of these names one of these values."""
        key = frozenset(names)
        statements = self._statements[key] if key in self._statements else self._read(names)
        for value in values:
            yield from statements.get(value, ())

    def _read(self, names: set[str]) -> dict[str, list["_Statement"]]:
        """Return all that is stated of the entities of these names, by normalised value; read once for each."""
        sql = f"""
            SELECT f.id, f.entity, r.id, r.name, f.value FROM entity_spelling s JOIN fact f ON f.entity = s.target
            JOIN relation r ON r.id = f.relation WHERE s.alias = 0 AND s.norm IN ({_marks(names)})
        """
        statements: dict[str, list[_Statement]] = defaultdict(list)
        for fact, entity, number, name, value in self._database.rows(sql, tuple(names)):
            statements[normalise(value)].append(_Statement(fact, entity, NameRow(number, name, normalise(name))))
        self._statements[frozenset(names)] = statements
        return statements


def _nothing(entity: str | None, traces: int) -> InputError:
    if entity is None:
        return InputError("there is nothing to forget: no fact matches")
    hint = f", but facts of others mention it ({traces}): include them, or forget them by their value" if traces else ""
    return InputError(f"there is no entity '{entity}'{hint}", field="entity")


class _Statement(NamedTuple):
    """A fact by its id, the entity by its own, and the relation."""

    fact: int
    entity: int
    relation: NameRow


def _with_keys(names: set[str]) -> tuple[set[str], set[str]]:
    """Return names of a relation, and the keys that relations of the same words share with them."""
    return names, {relation_key(name) for name in names}


def _is_one_of(relation: str, known: tuple[set[str], set[str]]) -> bool:
    """Whether a relation has one of these names, or the same words as one of them."""
    names, keys = known
    return normalise(relation) in names or relation_key(relation) in keys


def _marks(values: Iterable[object]) -> str:
    return ",".join("?" for _ in values)
