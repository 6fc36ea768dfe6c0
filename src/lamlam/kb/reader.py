"""Reading a knowledge base as it stands, or as it stood at a revision.

The questions that resolution, export and reports ask, each a few index probes. Which answer is the right one is left to
`kb.resolve`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from lamlam.errors import InputError, LamLamError
from lamlam.kb.database import Database, kept
from lamlam.kb.fact import Fact, Source
from lamlam.kb.names import canonical, normalise, normalise_prefix, probed_keys, value_key

__all__ = ["Name", "Reader"]

_BATCH = 500
_ALIKE_UNDER_ONE_KEY = 300
_SOURCED = "EXISTS (SELECT 1 FROM source s WHERE s.fact = f.id)"
_FACT = f"""
    SELECT f.id, e.name, r.name, f.value, f.since, f.until, f.supersedes, {_SOURCED}
    FROM fact f JOIN entity e ON e.id = f.entity JOIN relation r ON r.id = f.relation
"""
# For each pair asked for, the tables in the order in which they are probed.
_SLOTS = f"""
    WITH asked (place, norm, name, relation) AS (VALUES %s)
    SELECT f.id, e.name, r.name, f.value, f.since, f.until, f.supersedes, {_SOURCED}, q.place
    FROM asked q CROSS JOIN entity_spelling es CROSS JOIN entity e CROSS JOIN relation_spelling rs CROSS JOIN fact f
    CROSS JOIN relation r
    WHERE es.norm = q.norm AND es.alias = 0 AND e.id = es.target AND e.name = q.name
    AND rs.norm = q.relation AND rs.alias = 0 AND f.entity = e.id AND f.relation = rs.target AND r.id = f.relation
"""
_SLOTS_AT_ONCE = 64
_STATED_BY_MANY = 20_000  # facts in one document
_LAST = chr(0x10FFFF)


class Name(NamedTuple):
    """A row of the entities or of the relations."""

    id: int
    name: str
    norm: str


class Reader:
    """Reads what holds now, or what held at `revision`."""

    def __init__(self, database: Database, revision: int | None = None) -> None:
        self.database = database
        if revision is None:
            self._holds, self._ended, self._made, self._known = "f.until = 0", "f.until > 0", " AND a.until = 0", ""
            self._read = ""
        else:
            at = int(revision)
            if not 0 <= at <= (database.scalar("SELECT max(id) FROM revision") or 0):
                raise LamLamError(f"there is no revision {at}")
            self._holds = f"+f.since <= {at} AND (f.until = 0 OR f.until > {at})"
            self._ended = f"f.until > 0 AND f.until <= {at}"
            self._made = f" AND a.since <= {at} AND (a.until = 0 OR a.until > {at})"
            self._read = f" AND s.since <= {at}"
            self._known = f" AND EXISTS (SELECT 1 FROM fact k WHERE k.entity = e.id AND k.since <= {at})"

    def setting(self, key: str) -> str | None:
        """What the knowledge base keeps under a key about itself."""
        return kept(self.database, key)

    # Entities and relations

    def entities_spelled(self, name: str) -> list[Name]:
        """The entity of exactly this name, or else all whose normalised name it is."""
        sql = f"""
            SELECT e.id, e.name FROM entity_spelling s JOIN entity e ON e.id = s.target
            WHERE s.norm = ? AND s.alias = 0 {self._known} ORDER BY e.id
        """
        norm = normalise(name)
        found = [Name(row[0], row[1], norm) for row in self.database.rows(sql, (norm,))]
        return [row for row in found if canonical(row.name) == canonical(name)] or found

    def entities_aliased(self, name: str) -> list[Name]:
        """The entities of which it is an alias."""
        sql = f"""
            SELECT DISTINCT e.id, e.name FROM entity_spelling s JOIN entity_alias a ON a.id = s.alias
            JOIN entity e ON e.id = s.target WHERE s.norm = ? AND s.alias > 0 {self._made} {self._known} ORDER BY e.id
        """
        return [_named(*row) for row in self.database.rows(sql, (normalise(name),))]

    def entities_meant(self, name: str) -> tuple[list[Name], bool]:
        """The entities that a name names, and whether by an alias.

        Those with facts still come before those with facts once, and among the former names before aliases.
        """
        spelled = self.entities_spelled(name)
        if held := [row for row in spelled if self.has_facts(row.id)]:
            return held, False
        aliased = self.entities_aliased(name)
        return (aliased, True) if aliased else (spelled, False)

    def owner(self, name: str) -> Name:
        """The one entity that a name means. Raises `InputError` where there is none, or several."""
        found, _ = self.entities_meant(name)
        if not found:
            raise InputError(f"there is no entity '{name}'", field="entity")
        if len(found) > 1:
            names = ", ".join(f"'{row.name}'" for row in found)
            raise InputError(f"'{name}' may mean {names}: give the exact name", field="entity")
        return found[0]

    def entities_alike(self, name: str, limit: int) -> list[tuple[Name, str]]:
        """Entities that share a key with a name, each with the spelling (name or alias) that does; at most `limit`."""
        sql = f"SELECT target, alias FROM entity_key WHERE key = ? ORDER BY target, alias LIMIT {_ALIKE_UNDER_ONE_KEY}"
        hits = (hit for key in probed_keys(normalise(name)) for hit in self.database.rows(sql, (key,)))
        named = f"SELECT e.id, e.name FROM entity e WHERE e.id = ? {self._known}"
        aliased = f"SELECT a.name FROM entity_alias a WHERE a.id = ? {self._made}"
        found = []
        for target, alias in dict.fromkeys(hits):
            row = self.database.one(named, (target,))
            spelling = self.database.scalar(aliased, (alias,)) if alias else row and row[1]
            if row and spelling:
                found.append((_named(*row), normalise(spelling)))
            if len(found) == limit:
                break
        return found

    def relations_held(self, entity: int) -> list[Name]:
        """The relations in which an entity has facts."""
        sql = f"""
            SELECT DISTINCT r.id, r.name FROM fact f JOIN relation r ON r.id = f.relation
            WHERE f.entity = ? AND {self._holds} ORDER BY r.id
        """
        return [_named(*row) for row in self.database.rows(sql, (entity,))]

    def relations_named(self, limit: int) -> list[Name]:
        """At most `limit` of all relations, also of those in which no fact holds any more."""
        sql = f"SELECT id, name FROM relation ORDER BY id LIMIT {int(limit)}"
        return [_named(*row) for row in self.database.rows(sql)]

    def values_held(self, entity: int, relations: Sequence[int], each: int) -> dict[int, list[str]]:
        """A few values that an entity has in each of some relations."""
        sql = f"SELECT f.value FROM fact f WHERE f.entity = ? AND f.relation = ? AND {self._holds} LIMIT {int(each)}"
        return {number: [row[0] for row in self.database.rows(sql, (entity, number))] for number in relations}

    def values_elsewhere(self, relations: Sequence[int], entity: int, limit: int) -> list[str]:
        """A few values that others than an entity have in some relations."""
        sql = f"SELECT f.value FROM fact f WHERE f.relation = ? AND +f.entity <> ? AND {self._holds} LIMIT {int(limit)}"
        found = (row[0] for number in relations for row in self.database.rows(sql, (number, entity)))
        return list(islice(found, limit))

    def relation_pairs(self, asked: Sequence[int], held: Sequence[int]) -> dict[int, tuple[int, int]]:
        """For relations that are held, in how many entities they state the same as one that is asked for, or not."""
        if not asked or not held:
            return {}
        sql = f"""
            SELECT b, sum(shared), sum(apart) FROM relation_pair
            WHERE a IN ({",".join("?" * len(asked))}) AND b IN ({",".join("?" * len(held))}) GROUP BY b
        """
        return {row[0]: (int(row[1]), int(row[2])) for row in self.database.rows(sql, (*asked, *held))}

    def relation_synonyms(self, relation: str) -> set[str]:
        """The normalised names that aliases declare to mean the same as a relation's, in either direction."""
        norm = normalise(relation)
        sql = f"""
            SELECT r.name FROM relation_spelling s JOIN relation_alias a ON a.id = s.alias
            JOIN relation r ON r.id = s.target WHERE s.norm = ? AND s.alias > 0 {self._made}
            UNION SELECT a.name FROM relation_spelling s JOIN relation_alias a ON a.target = s.target
            WHERE s.norm = ? AND s.alias = 0 {self._made}
        """
        return {normalise(row[0]) for row in self.database.rows(sql, (norm, norm))} - {norm}

    def spellings(self, relations: Sequence[Name]) -> dict[Name, list[str]]:
        """Each relation's name and its aliases."""
        found = {relation: [relation.name] for relation in relations}
        named = {relation.id: relation for relation in relations}
        for start in range(0, len(relations), _BATCH):
            ids = [relation.id for relation in relations[start : start + _BATCH]]
            marks = ",".join("?" * len(ids))
            sql = (
                f"SELECT a.target, a.name FROM relation_alias a WHERE a.target IN ({marks}) {self._made} ORDER BY a.id"
            )
            for target, name in self.database.rows(sql, ids):
                found[named[target]].append(name)
        return found

    def relations_spelled(self, relation: str) -> list[Name]:
        """All relations of this normalised name."""
        sql = """
            SELECT r.id, r.name FROM relation_spelling s JOIN relation r ON r.id = s.target
            WHERE s.norm = ? AND s.alias = 0 ORDER BY r.id
        """
        return [_named(*row) for row in self.database.rows(sql, (normalise(relation),))]

    def aliases(self) -> Iterator[tuple[str, str, str]]:
        """("entity" or "relation", alias, name) for every alias of what has facts."""
        for table in ("entity", "relation"):
            sql = f"""
                SELECT a.id, a.name, t.name FROM {table}_alias a JOIN {table} t ON t.id = a.target
                WHERE a.id > ? {self._made} AND EXISTS (SELECT 1 FROM fact f WHERE f.{table} = t.id AND {self._holds})
                ORDER BY a.id LIMIT {_BATCH}
            """
            last = 0
            while rows := self.database.rows(sql, (last,)):
                yield from ((table, row[1], row[2]) for row in rows)
                last = rows[-1][0]

    def aliases_of(self, entities: Sequence[int]) -> list[tuple[str, int]]:
        """The aliases of some entities, each with the revision that made it, in the order in which they were made."""
        marks = ",".join("?" * len(entities))
        sql = f"SELECT a.name, a.since FROM entity_alias a WHERE a.target IN ({marks}) {self._made} ORDER BY a.id"
        return [(row[0], row[1]) for row in self.database.rows(sql, entities)]

    def has_facts(self, entity: int) -> bool:
        sql = f"SELECT 1 FROM fact f WHERE f.entity = ? AND {self._holds} LIMIT 1"
        return self.database.one(sql, (entity,)) is not None

    def relations_ended(self, entity: int) -> list[Name]:
        """The relations in which an entity had facts that were retracted or replaced."""
        sql = f"""
            SELECT DISTINCT r.id, r.name FROM fact f JOIN relation r ON r.id = f.relation
            WHERE f.entity = ? AND {self._ended} ORDER BY r.id
        """
        return [_named(*row) for row in self.database.rows(sql, (entity,))]

    def entities_named(self, names: Sequence[str]) -> dict[str, str]:
        """Each of `names` that belongs to one entity, to that entity's canonical name.

        The exact name comes before the normalised one, that before an alias; but a name whose entity has no facts any
        more, as after a merger, is that of the one with facts. A name that several of these share is left out.
        """
        norms = {name: normalise(name) for name in names}
        wanted = sorted(set(norms.values()) - {""})
        held = f"EXISTS (SELECT 1 FROM fact f WHERE f.entity = e.id AND {self._holds})"
        spelled = self._owners(
            f"SELECT s.norm, e.name, {held} FROM entity_spelling s JOIN entity e ON e.id = s.target "
            f"WHERE s.norm IN (%s) AND s.alias = 0 {self._known}",
            wanted,
        )
        aliased = self._owners(
            f"SELECT s.norm, e.name, {held} FROM entity_spelling s JOIN entity_alias a ON a.id = s.alias "
            f"JOIN entity e ON e.id = s.target WHERE s.norm IN (%s) AND s.alias > 0 {self._made} {self._known}",
            wanted,
        )
        found = {}
        for name, norm in norms.items():
            if owner := _owner(canonical(name), spelled.get(norm, {}), aliased.get(norm, {})):
                found[name] = owner
        return found

    def _owners(self, sql: str, norms: Sequence[str]) -> dict[str, dict[str, bool]]:
        """For each normalised name the entities that bear it, and whether they have facts."""
        owners: dict[str, dict[str, bool]] = {}
        for start in range(0, len(norms), _BATCH):
            part = norms[start : start + _BATCH]
            for norm, name, holds in self.database.rows(sql % ",".join("?" * len(part)), part):
                owners.setdefault(norm, {})[name] = bool(holds)
        return owners

    def entities_starting(self, prefix: str, limit: int) -> list[str]:
        """Names and aliases of entities with facts whose normalised form starts with `prefix`, in order."""
        searched = int(limit)
        while True:
            found = self.names_starting(prefix, searched)
            names = list(dict.fromkeys(name for name, _ in found))[:limit]
            if len(names) == limit or len(found) < searched:
                return names
            searched *= 2

    def names_starting(self, prefix: str, limit: int) -> list[tuple[str, str]]:
        """The same, each with the entity whose name or alias it is; an alias of several entities comes as often."""
        low = normalise_prefix(prefix)
        # One walk along the index, which ends when it has found enough: a search for aliases alone would look at all
        # names that begin so.
        sql = f"""
            SELECT name, entity FROM (
                SELECT s.norm AS norm, CASE WHEN s.alias = 0 THEN e.name ELSE a.name END AS name, e.name AS entity
                FROM entity_spelling s JOIN entity e ON e.id = s.target LEFT JOIN entity_alias a ON a.id = s.alias
                WHERE s.norm >= ? AND s.norm < ? AND (s.alias = 0 OR (s.alias > 0 {self._made}))
                    AND EXISTS (SELECT 1 FROM fact f WHERE f.entity = e.id AND {self._holds})
                ORDER BY s.norm LIMIT {int(limit)}
            ) found ORDER BY norm, name, entity
        """
        return [(row[0], row[1]) for row in self.database.rows(sql, (low, low + _LAST))]

    # Facts

    def slot(self, entity: str, relation: str) -> list[Fact]:
        """The facts of exactly this entity and, up to normalisation, this relation: the commonest lookup, in one go."""
        return self.slots([(entity, relation)])[0]

    def slots(self, pairs: Sequence[tuple[str, str]]) -> list[list[Fact]]:
        """`slot` for each (entity, relation)."""
        found: list[list[Fact]] = [[] for _ in pairs]
        for start in range(0, len(pairs), _SLOTS_AT_ONCE):
            part = pairs[start : start + _SLOTS_AT_ONCE]
            sql = f"{_SLOTS % ','.join(['(?, ?, ?, ?)'] * len(part))} AND {self._holds} ORDER BY f.id"
            asked: list[str | int] = []
            for place, (entity, relation) in enumerate(part, start):
                asked += (place, normalise(entity), canonical(entity), normalise(relation))
            rows = self.database.rows(sql, asked)
            for row, fact in zip(rows, self._facts(rows), strict=True):
                found[row[8]].append(fact)
        return found

    def facts_of(self, entity: int, relations: Sequence[int]) -> list[Fact]:
        """The facts of an entity in any of some relations; the plus keeps SQLite to the entity's index."""
        marks = ",".join("?" * len(relations))
        sql = f"{_FACT} WHERE f.entity = ? AND +f.relation IN ({marks}) AND {self._holds} ORDER BY f.id"
        return self._facts(self.database.rows(sql, (entity, *relations)))

    def slots_in(self, relation: str, limit: int) -> dict[tuple[int, int], tuple[str, str]]:
        """Slots in one relation, or in any where it has none: ids of entity and relation, to their normalised names."""
        sql = f"""
            SELECT DISTINCT e.id, r.id, e.name, r.name FROM fact f
            JOIN entity e ON e.id = f.entity JOIN relation r ON r.id = f.relation WHERE %s {self._holds} LIMIT {limit}
        """
        spelled = ", ".join(str(row.id) for row in self.relations_spelled(relation))
        rows = self.database.rows(sql % f"f.relation IN ({spelled}) AND") if spelled else []
        rows = rows or self.database.rows(sql % "")
        return {(row[0], row[1]): (normalise(row[2]), normalise(row[3])) for row in rows}

    def valued_ever(self, value: str) -> list[Fact]:
        """The facts that state a value, up to normalisation, whether or not they still hold; ordered by id."""
        norm = normalise(value)
        sql = f"{_FACT} JOIN value_key k ON k.fact = f.id WHERE k.key = ? ORDER BY f.id"
        rows = self.database.rows(sql, (value_key(value),))
        return self._facts([row for row in rows if normalise(row[3]) == norm])

    def is_stated(self, value: str) -> bool:
        """Whether a fact, past or not, has exactly this value; asked without reading all that do."""
        sql = "SELECT 1 FROM value_key k JOIN fact f ON f.id = k.fact WHERE k.key = ? AND f.value = ? LIMIT 1"
        return self.database.one(sql, (value_key(value), value)) is not None

    def fact(self, fact_id: int) -> Fact | None:
        """A fact by its id, whether or not it still holds."""
        found = self._facts(self.database.rows(f"{_FACT} WHERE f.id = ?", (fact_id,)))
        return found[0] if found else None

    def by_id(self, ids: Sequence[int]) -> list[Fact]:
        """Facts by their ids, whether or not they still hold, ordered by id."""
        found = []
        for start in range(0, len(ids), _BATCH):
            part = ids[start : start + _BATCH]
            found += self.database.rows(f"{_FACT} WHERE f.id IN ({','.join('?' * len(part))})", part)
        return self._facts(sorted(found))

    def began(self, revision: int) -> Iterator[Fact]:
        """The facts that began with a revision, whether or not they still hold; ids follow the order of revisions."""
        last, stop = self.first_since(revision) - 1, self.first_since(revision + 1)
        sql = f"{_FACT} WHERE f.id > ? AND f.id < ? ORDER BY f.id LIMIT {_BATCH}"
        while rows := self.database.rows(sql, (last, stop)):
            yield from self._facts(rows)
            last = rows[-1][0]

    def ended(self, revision: int, limit: int) -> list[Fact]:
        """The first facts that ended with a revision, by id."""
        sql = f"{_FACT} WHERE f.until = ? AND f.until > 0 ORDER BY f.id LIMIT {int(limit)}"
        return self._facts(self.database.rows(sql, (revision,)))

    def first_since(self, revision: int, low: int = 1) -> int:
        """The least id, not under `low`, from which on all facts began with a revision or later; found by halving."""
        high = (self.database.scalar("SELECT max(id) FROM fact") or 0) + 1
        while low < high:
            middle = (low + high) // 2
            row = self.database.one("SELECT id, since FROM fact WHERE id >= ? ORDER BY id LIMIT 1", (middle,))
            if row is None or row[1] >= revision:
                high = middle
            else:
                low = row[0] + 1
        return low

    def document(self, name: str) -> int | None:
        """The number of a document, by its id."""
        number: int | None = self.database.scalar("SELECT id FROM document WHERE name = ?", (name,))
        return number

    def _stated_in(self, document: int) -> str:
        """That a document states the fact: its facts are taken together where they are few, else each is asked for."""
        sql = f"SELECT count(*) FROM (SELECT 1 FROM source WHERE document = ? LIMIT {_STATED_BY_MANY}) AS stated"
        if self.database.scalar(sql, (document,)) < _STATED_BY_MANY:
            return f"f.id IN (SELECT s.fact FROM source s WHERE s.document = ? {self._read})"
        return f"EXISTS (SELECT 1 FROM source s WHERE s.fact = f.id AND s.document = ? {self._read})"

    def stated_only_in(self, fact_id: int, documents: Collection[str]) -> bool:
        """Whether no other document states a fact."""
        sql = "SELECT d.name FROM source s JOIN document d ON d.id = s.document WHERE s.fact = ?"
        return all(row[0] in documents for row in self.database.rows(sql, (fact_id,)))

    def lineage(self, fact_id: int) -> list[Fact]:
        """A fact, what it superseded, and what superseded it, however far; ordered by id."""
        sql = """
            WITH RECURSIVE
                earlier (id) AS (VALUES (?) UNION SELECT f.supersedes FROM fact f JOIN earlier USING (id)
                    WHERE f.supersedes IS NOT NULL),
                later (id) AS (VALUES (?) UNION SELECT f.id FROM fact f JOIN later ON f.supersedes = later.id)
            SELECT id FROM earlier UNION SELECT id FROM later
        """
        return self.by_id([row[0] for row in self.database.rows(sql, (fact_id, fact_id))])

    def heirs(self, fact_id: int) -> list[Fact]:
        """What superseded a fact, and what superseded that, however far; ordered by id."""
        sql = """
            WITH RECURSIVE later (id) AS
                (VALUES (?) UNION SELECT f.id FROM fact f JOIN later ON f.supersedes = later.id)
            SELECT id FROM later
        """
        return self.by_id([row[0] for row in self.database.rows(sql, (fact_id,)) if row[0] != fact_id])

    def standing(self, fact: Fact) -> Fact | None:
        """The fact that says the same now: itself, or one in its place that was stated anew, or moved by a merger."""
        if fact.until is None:
            return fact
        same = [
            heir
            for heir in self.heirs(fact.id)
            if heir.until is None and (heir.relation, heir.value) == (fact.relation, fact.value)
        ]
        return max(same, key=lambda heir: (heir.entity == fact.entity, heir.id), default=None)

    def ever(self, entities: Sequence[int], relation: str) -> list[Fact]:
        """All facts of some entities in a relation or its synonyms, whether or not they still hold; ordered by id."""
        norms = (normalise(relation), *self.relation_synonyms(relation))
        sql = f"""
            {_FACT} WHERE f.entity IN ({",".join("?" * len(entities))}) AND +f.relation IN (SELECT target
            FROM relation_spelling WHERE alias = 0 AND norm IN ({",".join("?" * len(norms))})) ORDER BY f.id
        """
        return self._facts(self.database.rows(sql, (*entities, *norms)))

    def facts(self, entity: int | None = None, relation: int | None = None) -> Iterator[Fact]:
        """Facts in the order of their ids; read in pages, so that the knowledge base may be written in between."""
        where = [self._holds, "f.id > ?"]
        where += [f"f.entity = {int(entity)}"] if entity is not None else []
        where += [f"f.relation = {int(relation)}"] if relation is not None else []
        sql = f"{_FACT} WHERE {' AND '.join(where)} ORDER BY f.id LIMIT {_BATCH}"
        last = 0
        while rows := self.database.rows(sql, (last,)):
            yield from self._facts(rows)
            last = rows[-1][0]

    def values_after(
        self,
        after: int,
        limit: int,
        entity: int | None = None,
        relation: int | None = None,
        document: int | None = None,
    ) -> list[tuple[int, str]]:
        """(id, value) of the first facts that hold and have an id beyond `after`, by id.

        Of an entity, in a relation, or with a source in a document, where these are given.
        """
        where, parameters = [self._holds], list[int]()
        if entity is not None:  # has few facts, so that its index is the one to use, and the pluses keep SQLite to it
            where += ["f.entity = ?", "+f.id > ?"]
            parameters += [entity, after]
        else:
            where.append("f.id > ?")
            parameters.append(after)
        if relation is not None:
            where.append(f"{'+' if entity is not None else ''}f.relation = ?")
            parameters.append(relation)
        if document is not None:
            where.append(self._stated_in(document))
            parameters.append(document)
        sql = f"SELECT f.id, f.value FROM fact f WHERE {' AND '.join(where)} ORDER BY f.id LIMIT {int(limit)}"
        return [(row[0], row[1]) for row in self.database.rows(sql, parameters)]

    def statements(self) -> Iterator[tuple[str, str, str]]:
        """(entity, relation, value) of every fact that holds, those of an entity together."""
        return self.database.stream(f"""
            SELECT e.name, r.name, f.value FROM fact f JOIN entity e ON e.id = f.entity
            JOIN relation r ON r.id = f.relation WHERE {self._holds} ORDER BY f.entity, f.relation, f.id
        """)

    def _facts(self, rows: Sequence[tuple]) -> list[Fact]:
        """Rows of `_FACT` with their sources; one for each row."""
        sources = self._sources([row[0] for row in rows if row[7]])
        return [
            Fact(number, entity, relation, value, sources.get(number, ()), since, until or None, supersedes)
            for number, entity, relation, value, since, until, supersedes, *_ in rows
        ]

    def _sources(self, facts: Sequence[int]) -> dict[int, tuple[Source, ...]]:
        """The sources of each fact that has any."""
        sources: dict[int, list[Source]] = {}
        for start in range(0, len(facts), _BATCH):
            part = facts[start : start + _BATCH]
            sql = f"""
                SELECT s.fact, d.name, s.start, s."end" FROM source s JOIN document d ON d.id = s.document
                WHERE s.fact IN ({",".join("?" * len(part))}) {self._read} ORDER BY s.id
            """
            for fact, document, begin, end in self.database.rows(sql, part):
                sources.setdefault(fact, []).append(Source(document, begin, end))
        return {fact: tuple(read) for fact, read in sources.items()}


def _owner(name: str, spelled: Mapping[str, bool], aliased: Mapping[str, bool]) -> str | None:
    """Whose name it is, of the entities that are so spelled and so aliased; each with whether it has facts."""
    held, meant = ([owner for owner, holds in owners.items() if holds] for owners in (spelled, aliased))
    if name in spelled and (name in held or not meant):
        return name
    owners = held or meant or list(spelled) or list(aliased)
    return owners[0] if len(owners) == 1 else None


def _named(id: int, name: str) -> Name:
    return Name(id, name, normalise(name))
