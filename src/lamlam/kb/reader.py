"""Read facts as they are now, or as they were at a revision.

The questions that resolution, export and reports ask, each a few index probes. Names are left to `kb.name_reader`, and
the choice of the right answer to `kb.resolve`.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from lamlam.kb.fact import Fact, Source
from lamlam.kb.name_reader import NameReader, NameRow
from lamlam.kb.names import canonical, normalise, value_key

__all__ = ["FactReader", "NameRow"]

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


class FactReader(NameReader):
    """Reads facts that hold now, or held at `revision`, and their names."""

    def slot(self, entity: str, relation: str) -> list[Fact]:
        """Return the facts of exactly this entity and, up to normalisation, this relation: the commonest lookup, in one
        go."""
        return self.slots([(entity, relation)])[0]

    def slots(self, pairs: Sequence[tuple[str, str]]) -> list[list[Fact]]:
        """Return the slot of each (entity, relation)."""
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
        """Return the facts of an entity in any of some relations; the plus keeps SQLite to the entity's index."""
        marks = ",".join("?" * len(relations))
        sql = f"{_FACT} WHERE f.entity = ? AND +f.relation IN ({marks}) AND {self._holds} ORDER BY f.id"
        return self._facts(self.database.rows(sql, (entity, *relations)))

    def slots_in(self, relation: str, limit: int) -> dict[tuple[int, int], tuple[str, str]]:
        """Return slots in one relation, or in any if it has none: ids of entity and relation, to their normalised
        names."""
        sql = f"""
            SELECT DISTINCT e.id, r.id, e.name, r.name FROM fact f
            JOIN entity e ON e.id = f.entity JOIN relation r ON r.id = f.relation WHERE %s {self._holds} LIMIT {limit}
        """
        spelled = ", ".join(str(row.id) for row in self.relations_spelled(relation))
        rows = self.database.rows(sql % f"f.relation IN ({spelled}) AND") if spelled else []
        rows = rows or self.database.rows(sql % "")
        return {(row[0], row[1]): (normalise(row[2]), normalise(row[3])) for row in rows}

    def values_held(self, entity: int, relations: Sequence[int], limit: int) -> dict[int, list[str]]:
        """Return a few values that an entity has in each of some relations."""
        sql = f"SELECT f.value FROM fact f WHERE f.entity = ? AND f.relation = ? AND {self._holds} LIMIT {int(limit)}"
        return {number: [row[0] for row in self.database.rows(sql, (entity, number))] for number in relations}

    def values_elsewhere(self, relations: Sequence[int], entity: int, limit: int) -> list[str]:
        """Return a few values that others than an entity have in some relations."""
        sql = f"SELECT f.value FROM fact f WHERE f.relation = ? AND +f.entity <> ? AND {self._holds} LIMIT {int(limit)}"
        found = (row[0] for number in relations for row in self.database.rows(sql, (number, entity)))
        return list(islice(found, limit))

    def valued_ever(self, value: str) -> list[Fact]:
        """Return the facts that state a value, up to normalisation, whether or not they still hold; ordered by id."""
        norm = normalise(value)
        sql = f"{_FACT} JOIN value_key k ON k.fact = f.id WHERE k.key = ? ORDER BY f.id"
        rows = self.database.rows(sql, (value_key(value),))
        return self._facts([row for row in rows if normalise(row[3]) == norm])

    def is_stated(self, value: str) -> bool:
        """Whether a fact, past or not, has exactly this value; answered without reading all that do."""
        sql = "SELECT 1 FROM value_key k JOIN fact f ON f.id = k.fact WHERE k.key = ? AND f.value = ? LIMIT 1"
        return self.database.one(sql, (value_key(value), value)) is not None

    def fact(self, fact_id: int) -> Fact | None:
        """Return a fact by its id, whether or not it still holds; None if there is none."""
        found = self._facts(self.database.rows(f"{_FACT} WHERE f.id = ?", (fact_id,)))
        return found[0] if found else None

    def by_id(self, ids: Sequence[int]) -> list[Fact]:
        """Return the facts with these ids, whether or not they still hold, ordered by id; missing ids are skipped."""
        return self._facts(sorted(self.database.rows_in(f"{_FACT} WHERE f.id IN (%s)", ids)))

    def began(self, revision: int) -> Iterator[Fact]:
        """Yield the facts that began with a revision, whether or not they still hold; ids follow the order of
        revisions."""
        sql = f"{_FACT} WHERE f.id > ? AND f.id < ? ORDER BY f.id LIMIT ?"
        for rows in self.database.pages(sql, (self.first_since(revision + 1),), self.first_since(revision) - 1):
            yield from self._facts(rows)

    def ended(self, revision: int, limit: int) -> list[Fact]:
        """Return the first facts that ended with a revision, by id."""
        sql = f"{_FACT} WHERE f.until = ? AND f.until > 0 ORDER BY f.id LIMIT {int(limit)}"
        return self._facts(self.database.rows(sql, (revision,)))

    def first_since(self, revision: int, low: int = 1) -> int:
        """Return the least id, not under `low`, from which on all facts began with a revision or later; found by
        halving."""
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
        """Return the number of a document, by its id; None if there is none."""
        number: int | None = self.database.scalar("SELECT id FROM document WHERE name = ?", (name,))
        return number

    def _stated_in(self, document: int) -> str:
        """Return the condition that a document states the fact: its facts are listed if they are few, else each is
        looked up."""
        sql = f"SELECT count(*) FROM (SELECT 1 FROM source WHERE document = ? LIMIT {_STATED_BY_MANY}) AS stated"
        if self.database.scalar(sql, (document,)) < _STATED_BY_MANY:
            return f"f.id IN (SELECT s.fact FROM source s WHERE s.document = ? {self._read})"
        return f"EXISTS (SELECT 1 FROM source s WHERE s.fact = f.id AND s.document = ? {self._read})"

    def stated_only_in(self, fact_id: int, documents: Collection[str]) -> bool:
        """Whether no other document states a fact."""
        sql = "SELECT d.name FROM source s JOIN document d ON d.id = s.document WHERE s.fact = ?"
        return all(row[0] in documents for row in self.database.rows(sql, (fact_id,)))

    def lineage(self, fact_id: int) -> list[Fact]:
        """Return a fact, what it superseded, and what superseded it, however far; ordered by id."""
        sql = """
            WITH RECURSIVE
                earlier (id) AS (VALUES (?) UNION SELECT f.supersedes FROM fact f JOIN earlier USING (id)
                    WHERE f.supersedes IS NOT NULL),
                later (id) AS (VALUES (?) UNION SELECT f.id FROM fact f JOIN later ON f.supersedes = later.id)
            SELECT id FROM earlier UNION SELECT id FROM later
        """
        return self.by_id([row[0] for row in self.database.rows(sql, (fact_id, fact_id))])

    def heirs(self, fact_id: int) -> list[Fact]:
        """Return what superseded a fact, and what superseded that, however far; ordered by id."""
        sql = """
            WITH RECURSIVE later (id) AS
                (VALUES (?) UNION SELECT f.id FROM fact f JOIN later ON f.supersedes = later.id)
            SELECT id FROM later
        """
        return self.by_id([row[0] for row in self.database.rows(sql, (fact_id,)) if row[0] != fact_id])

    def standing(self, fact: Fact) -> Fact | None:
        """Return the fact that states the same now: itself, or one that was stated again in its place, or moved by a
        merger."""
        if fact.until is None:
            return fact
        same = [
            heir
            for heir in self.heirs(fact.id)
            if heir.until is None and (heir.relation, heir.value) == (fact.relation, fact.value)
        ]
        return max(same, key=lambda heir: (heir.entity == fact.entity, heir.id), default=None)

    def ever(self, entities: Sequence[int], relation: str) -> list[Fact]:
        """Return all facts of some entities in a relation or its synonyms, whether or not they still hold; ordered by
        id."""
        norms = (normalise(relation), *self.relation_synonyms(relation))
        sql = f"""
            {_FACT} WHERE f.entity IN ({",".join("?" * len(entities))}) AND +f.relation IN (SELECT target
            FROM relation_spelling WHERE alias = 0 AND norm IN ({",".join("?" * len(norms))})) ORDER BY f.id
        """
        return self._facts(self.database.rows(sql, (*entities, *norms)))

    def facts(self, entity: int | None = None, relation: int | None = None) -> Iterator[Fact]:
        """Yield facts in the order of their ids; in pages, so that the knowledge base may be written in between."""
        where = [self._holds, "f.id > ?"]
        where += [f"f.entity = {int(entity)}"] if entity is not None else []
        where += [f"f.relation = {int(relation)}"] if relation is not None else []
        for rows in self.database.pages(f"{_FACT} WHERE {' AND '.join(where)} ORDER BY f.id LIMIT ?"):
            yield from self._facts(rows)

    def values_after(
        self,
        after: int,
        limit: int,
        entity: int | None = None,
        relation: int | None = None,
        document: int | None = None,
    ) -> list[tuple[int, str]]:
        """Return (id, value) of the first facts that hold and have an id beyond `after`, by id.

        Those of an entity, in a relation, or with a source in a document, if these are given.
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
        """Yield (entity, relation, value) of every fact that holds, those of an entity together."""
        return self.database.stream(f"""
            SELECT e.name, r.name, f.value FROM fact f JOIN entity e ON e.id = f.entity
            JOIN relation r ON r.id = f.relation WHERE {self._holds} ORDER BY f.entity, f.relation, f.id
        """)

    def _facts(self, rows: Sequence[tuple]) -> list[Fact]:
        """Turn rows of `_FACT` into facts with their sources; one for each row."""
        sources = self._sources([row[0] for row in rows if row[7]])
        return [
            Fact(number, entity, relation, value, sources.get(number, ()), since, until or None, supersedes)
            for number, entity, relation, value, since, until, supersedes, *_ in rows
        ]

    def _sources(self, facts: Sequence[int]) -> dict[int, tuple[Source, ...]]:
        """Return the sources of each fact that has any."""
        sources: dict[int, list[Source]] = {}
        sql = f"""
            SELECT s.fact, d.name, s.start, s."end" FROM source s JOIN document d ON d.id = s.document
            WHERE s.fact IN (%s) {self._read} ORDER BY s.id
        """
        for fact, document, begin, end in self.database.rows_in(sql, facts):
            sources.setdefault(fact, []).append(Source(document, begin, end))
        return {fact: tuple(read) for fact, read in sources.items()}
