"""Reading a knowledge base as it stands, or as it stood at a revision.

The questions that resolution, export and reports ask, each a few index probes. Which answer is the right one is left to
`kb.resolve`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from lamlam.errors import LamLamError
from lamlam.kb.database import Database
from lamlam.kb.fact import Fact, Source
from lamlam.kb.names import normalise, normalise_prefix
from lamlam.kb.trigrams import Trigrams

__all__ = ["Name", "Reader"]

_BATCH = 500
_FACT = """
    SELECT f.id, e.name, r.name, v.name, f.since, f.until, f.supersedes
    FROM fact f JOIN entity e ON e.id = f.entity JOIN relation r ON r.id = f.relation JOIN value v ON v.id = f.value
"""
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
        self.trigrams = Trigrams(database)
        if revision is None:
            self._holds, self._ended, self._made, self._known = "f.until = 0", "f.until > 0", "", ""
        else:
            at = int(revision)
            if not 0 <= at <= (database.scalar("SELECT max(id) FROM revision") or 0):
                raise LamLamError(f"there is no revision {at}")
            self._holds = f"+f.since <= {at} AND (f.until = 0 OR f.until > {at})"
            self._ended = f"f.until > 0 AND f.until <= {at}"
            self._made = f" AND since <= {at}"
            self._known = f" AND EXISTS (SELECT 1 FROM fact k WHERE k.entity = e.id AND k.since <= {at})"

    # Entities and relations

    def entities_spelled(self, name: str) -> list[Name]:
        """The entity of exactly this name, or else all whose normalised name it is."""
        sql = f"SELECT e.id, e.name, e.norm FROM entity e WHERE %s = ? {self._known} ORDER BY e.id"
        rows = self.database.rows(sql % "e.name", (name,)) or self.database.rows(sql % "e.norm", (normalise(name),))
        return [Name(*row) for row in rows]

    def entities_aliased(self, name: str) -> list[Name]:
        sql = f"""
            SELECT DISTINCT e.id, e.name, e.norm FROM entity_alias a JOIN entity e ON e.id = a.target
            WHERE a.norm = ? {self._made} {self._known} ORDER BY e.id
        """
        return [Name(*row) for row in self.database.rows(sql, (normalise(name),))]

    def entities_alike(self, name: str, limit: int) -> list[tuple[Name, str]]:
        """Entities that share the most trigrams with a name, each with the spelling (name or alias) that does."""
        found = []
        for row in self.trigrams.nearest(normalise(name), limit):
            if row % 2:
                sql = f"""
                    SELECT e.id, e.name, e.norm, a.norm FROM entity_alias a JOIN entity e ON e.id = a.target
                    WHERE a.id = ? {self._made} {self._known}
                """
            else:
                sql = f"SELECT e.id, e.name, e.norm, e.norm FROM entity e WHERE e.id = ? {self._known}"
            found += [(Name(*hit[:3]), str(hit[3])) for hit in self.database.rows(sql, (row // 2,))]
        return found

    def relations_held(self, entity: int) -> list[Name]:
        """The relations in which an entity has facts."""
        sql = f"""
            SELECT DISTINCT r.id, r.name, r.norm FROM fact f JOIN relation r ON r.id = f.relation
            WHERE f.entity = ? AND {self._holds} ORDER BY r.id
        """
        return [Name(*row) for row in self.database.rows(sql, (entity,))]

    def relation_synonyms(self, relation: str) -> set[str]:
        """The normalised names that aliases declare to mean the same as a relation's, in either direction."""
        norm = normalise(relation)
        sql = f"""
            SELECT r.norm FROM relation_alias a JOIN relation r ON r.id = a.target WHERE a.norm = ? {self._made}
            UNION SELECT a.norm FROM relation r JOIN relation_alias a ON a.target = r.id WHERE r.norm = ? {self._made}
        """
        return {row[0] for row in self.database.rows(sql, (norm, norm))} - {norm}

    def relation_names(self, relation: Name) -> list[str]:
        """A relation's name and its aliases."""
        sql = f"SELECT name FROM relation_alias WHERE target = ? {self._made} ORDER BY id"
        return [relation.name, *(row[0] for row in self.database.rows(sql, (relation.id,)))]

    def relations_spelled(self, relation: str) -> list[Name]:
        """All relations of this normalised name."""
        sql = "SELECT id, name, norm FROM relation WHERE norm = ? ORDER BY id"
        return [Name(*row) for row in self.database.rows(sql, (normalise(relation),))]

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

    def has_facts(self, entity: int) -> bool:
        return self.database.one(f"SELECT 1 FROM fact f WHERE f.entity = ? AND {self._holds}", (entity,)) is not None

    def relations_ended(self, entity: int) -> list[Name]:
        """The relations in which an entity had facts that were retracted or replaced."""
        sql = f"""
            SELECT DISTINCT r.id, r.name, r.norm FROM fact f JOIN relation r ON r.id = f.relation
            WHERE f.entity = ? AND {self._ended} ORDER BY r.id
        """
        return [Name(*row) for row in self.database.rows(sql, (entity,))]

    def entities_named(self, names: Sequence[str]) -> dict[str, str]:
        """Each of `names` that belongs to one entity, to that entity's canonical name.

        The exact name comes before the normalised one, that before an alias. Where several entities share the name,
        the one that has facts still is meant; among several of those the name is left out.
        """
        norms = {name: normalise(name) for name in names}
        wanted = sorted(set(norms.values()) - {""})
        held = f"EXISTS (SELECT 1 FROM fact f WHERE f.entity = e.id AND {self._holds})"
        spelled = self._owners(
            f"SELECT e.norm, e.name, {held} FROM entity e WHERE e.norm IN (%s) {self._known}", wanted
        )
        aliased = self._owners(
            f"SELECT a.norm, e.name, {held} FROM entity_alias a JOIN entity e ON e.id = a.target "
            f"WHERE a.norm IN (%s) {self._made} {self._known}",
            wanted,
        )
        found = {}
        for name, norm in norms.items():
            owners = spelled.get(norm) or aliased.get(norm) or {}
            holding = [owner for owner, holds in owners.items() if holds] or list(owners)
            if name in owners or len(holding) == 1:
                found[name] = name if name in owners else holding[0]
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
        low = normalise_prefix(prefix)
        held = f"EXISTS (SELECT 1 FROM fact f WHERE f.entity = e.id AND {self._holds})"
        sql = f"""
            SELECT name FROM (
                SELECT * FROM (SELECT e.norm AS norm, e.name AS name FROM entity e
                    WHERE e.norm >= :low AND e.norm < :high AND {held} ORDER BY e.norm LIMIT :limit)
                UNION
                SELECT * FROM (SELECT a.norm, a.name FROM entity_alias a JOIN entity e ON e.id = a.target
                    WHERE a.norm >= :low AND a.norm < :high {self._made} AND {held} ORDER BY a.norm LIMIT :limit)
            ) ORDER BY norm, name LIMIT :limit
        """
        parameters = {"low": low, "high": low + _LAST, "limit": limit}
        return [row[0] for row in self.database.rows(sql, parameters)]

    # Facts

    def slot(self, entity: str, relation: str) -> list[Fact]:
        """The facts of exactly this entity and, up to normalisation, this relation: the commonest lookup, in one go."""
        sql = f"{_FACT} WHERE e.name = ? AND r.norm = ? AND {self._holds} ORDER BY f.id"
        return self._facts(self.database.rows(sql, (entity, normalise(relation))))

    def facts_of(self, entity: int, relations: Sequence[int]) -> list[Fact]:
        """The facts of an entity in any of some relations; the plus keeps SQLite to the entity's index."""
        marks = ",".join("?" * len(relations))
        sql = f"{_FACT} WHERE f.entity = ? AND +f.relation IN ({marks}) AND {self._holds} ORDER BY f.id"
        return self._facts(self.database.rows(sql, (entity, *relations)))

    def slots_in(self, relation: str, limit: int) -> dict[tuple[int, int], tuple[str, str]]:
        """Slots in one relation, or in any where it has none: ids of entity and relation, to their normalised names."""
        sql = f"""
            SELECT DISTINCT e.id, r.id, e.norm, r.norm FROM fact f
            JOIN entity e ON e.id = f.entity JOIN relation r ON r.id = f.relation WHERE %s {self._holds} LIMIT {limit}
        """
        rows = self.database.rows(sql % "r.norm = ? AND", (normalise(relation),)) or self.database.rows(sql % "")
        return {(row[0], row[1]): (row[2], row[3]) for row in rows}

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

    def ever(self, entities: Sequence[int], relation: str) -> list[Fact]:
        """All facts of some entities in a relation or its synonyms, whether or not they still hold; ordered by id."""
        norms = (normalise(relation), *self.relation_synonyms(relation))
        sql = f"""
            {_FACT} WHERE f.entity IN ({",".join("?" * len(entities))}) AND r.norm IN ({",".join("?" * len(norms))})
            ORDER BY f.id
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

    def _facts(self, rows: Sequence[tuple]) -> list[Fact]:
        """Rows of `_FACT` with their sources."""
        if not rows:
            return []
        facts = {row[0]: Fact(row[0], row[1], row[2], row[3], (), row[4], row[5] or None, row[6]) for row in rows}
        sources: dict[int, list[Source]] = {}
        for fact, document, start, end in self.database.rows(
            f"""
            SELECT s.fact, d.name, s.start, s."end" FROM source s JOIN document d ON d.id = s.document
            WHERE s.fact IN ({",".join("?" * len(facts))}) {self._made.replace("since", "s.since")} ORDER BY s.id
            """,
            tuple(facts),
        ):
            sources.setdefault(fact, []).append(Source(document, start, end))
        for fact, read in sources.items():
            facts[fact] = replace(facts[fact], sources=tuple(read))
        return list(facts.values())
