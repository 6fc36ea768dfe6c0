"""Forgetting: which rows a proposition stands in, under all its names, and erasing them from every file.

A proposition is forgotten in all its namings: spelling variants and aliases of its entity and its relation, and
relations of the same words; with the facts that it superseded. Tombstones are left in its place. Transactions, and the
rewriting of the file afterwards, are left to `kb.store`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

from lamlam.errors import InputError
from lamlam.kb.blocking import digest, stored_keys
from lamlam.kb.database import Database
from lamlam.kb.fact import Fact
from lamlam.kb.names import normalise
from lamlam.kb.reader import Name, Reader
from lamlam.kb.similarity import relation_key
from lamlam.kb.tombstones import Tombstones

__all__ = ["Erased", "Forgetter", "Selection"]

_TABLES = ("entity", "relation", "document")
_REDACTED = "[erased]"
_MARKED = "(SELECT id FROM marked)"
_HOLDING = (
    "SELECT 1 FROM entity WHERE instr(name, ?) > 0",
    "SELECT 1 FROM entity_spelling WHERE instr(norm, ?) > 0",
    "SELECT 1 FROM relation WHERE instr(name, ?) > 0",
    "SELECT 1 FROM relation_spelling WHERE instr(norm, ?) > 0",
    "SELECT 1 FROM entity_alias WHERE instr(name, ?) > 0",
    "SELECT 1 FROM relation_alias WHERE instr(name, ?) > 0",
    "SELECT 1 FROM fact WHERE instr(value, ?) > 0",
    "SELECT 1 FROM document WHERE instr(name, ?) > 0",
    "SELECT 1 FROM revision WHERE instr(time || actor || action || reason, ?) > 0",
)
_NAMED = "(SELECT id FROM document WHERE name = ?)"


@dataclass(slots=True)
class Selection:
    """What is to be erased: facts by id, in order, and a document with the sources that name it."""

    facts: list[int]
    document: str | None = None
    sources: int = 0


@dataclass(slots=True)
class Erased:
    """Rows erased by table, the strings that must now be in no file, and how many tombstones were put."""

    counts: dict[str, int]
    strings: set[str] = field(default_factory=set)
    tombstones: int = 0


class Forgetter:
    """Selects and erases. `erase` wants an open transaction."""

    def __init__(self, database: Database, tombstones: Tombstones) -> None:
        self._database, self._tombstones = database, tombstones
        self._reader = Reader(database)

    # What to erase

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
        if source is not None:
            chosen, sources = self._of_document(source)
        elif fact_id is not None:
            chosen, sources = [fact.id for fact in self._reader.by_id([fact_id])], 0
        else:
            chosen, sources = self._described(entity, relation, value), 0
        if not chosen and not sources:
            raise InputError("there is nothing to forget: no fact is so described")
        facts = sorted(self._closure(chosen))
        self._mark(facts)
        sql = f"SELECT count(*) FROM source WHERE fact IN {_MARKED} OR document IN {_NAMED}"
        return Selection(facts, source, self._database.scalar(sql, (source,)))

    def _of_document(self, document: str) -> tuple[list[int], int]:
        facts = self._database.rows(
            "SELECT DISTINCT s.fact FROM source s JOIN document d ON d.id = s.document WHERE d.name = ?", (document,)
        )
        sql = "SELECT 1 FROM source s JOIN document d ON d.id = s.document WHERE s.fact = ? AND d.name <> ?"
        alone = [row[0] for row in facts if not self._database.one(sql, (row[0], document))]
        return alone, len(facts)

    def _described(self, entity: str | None, relation: str | None, value: str | None) -> list[int]:
        if entity is None and relation is None:
            return [fact.id for fact in self._reader.valued_ever(value or "")]
        where, parameters = [], []
        if entity is not None:
            where.append("f.entity = ?")
            parameters.append(self._owner(entity).id)
        if relation is not None:
            kinds = self._relations(relation)
            where.append(f"{'+' if entity is not None else ''}f.relation IN ({_marks(kinds)})")
            parameters += kinds
        sql = "SELECT f.id, f.value FROM fact f WHERE " + " AND ".join(where)
        rows = self._database.rows(sql, parameters)
        return [row[0] for row in rows if value is None or normalise(row[1]) == normalise(value)]

    def _owner(self, entity: str) -> Name:
        found = self._reader.entities_spelled(entity) or self._reader.entities_aliased(entity)
        if not found:
            raise InputError(f"there is no entity '{entity}'", field="entity")
        if len(found) > 1:
            names = ", ".join(f"'{row.name}'" for row in found)
            raise InputError(f"'{entity}' may mean {names}: give the exact name", field="entity")
        return found[0]

    def _relations(self, relation: str) -> list[int]:
        names = {normalise(relation), *self._reader.relation_synonyms(relation)}
        sql = f"SELECT target FROM relation_spelling WHERE alias = 0 AND norm IN ({_marks(names)})"
        return [row[0] for row in self._database.rows(sql, tuple(names))]

    def _closure(self, chosen: Iterable[int]) -> set[int]:
        """With every fact: what it superseded, and the facts that state the same in other names."""
        closed: set[int] = set()
        waiting = set(chosen)
        while waiting:
            closed |= waiting
            facts = self._reader.by_id(sorted(waiting))
            reached = {fact.supersedes for fact in facts if fact.supersedes is not None}
            for fact in facts:
                reached |= self._saying_the_same(fact)
            waiting = reached - closed
        return closed

    def _saying_the_same(self, fact: Fact) -> set[int]:
        names, relations = self._entity_names(fact.entity), self._relation_names(fact.relation)
        keys = {relation_key(relation) for relation in relations}
        sql = f"""
            SELECT f.id, r.name, f.value FROM entity_spelling s JOIN fact f ON f.entity = s.target
            JOIN relation r ON r.id = f.relation WHERE s.alias = 0 AND s.norm IN ({_marks(names)})
        """
        value = normalise(fact.value)
        return {
            row[0]
            for row in self._database.rows(sql, tuple(names))
            if normalise(row[2]) == value and (normalise(row[1]) in relations or relation_key(row[1]) in keys)
        }

    def _entity_names(self, entity: str) -> set[str]:
        """The normalised names of an entity: its own, its aliases, and those of which it is itself an alias."""
        norm = normalise(entity)
        sql = """
            SELECT a.name FROM entity_spelling s JOIN entity e ON e.id = s.target JOIN entity_alias a ON a.target = e.id
            WHERE s.norm = ? AND s.alias = 0 AND e.name = ?
            UNION SELECT e.name FROM entity_spelling s JOIN entity e ON e.id = s.target WHERE s.norm = ? AND s.alias > 0
        """
        return {norm, *(normalise(row[0]) for row in self._database.rows(sql, (norm, entity, norm)))}

    def _relation_names(self, relation: str) -> set[str]:
        return {normalise(relation), *self._reader.relation_synonyms(relation)}

    # Erasing it

    def erase(self, selection: Selection, revision: int) -> Erased:
        """Delete the rows and all that only they used; leave tombstones. Returns the strings that must now be gone."""
        facts = self._reader.by_id(selection.facts)
        before = self._tombstone_count()
        namings = {fact.entity: self._entity_names(fact.entity) for fact in facts}
        self._bury(facts, namings, selection.document, revision)
        touched = self._touched(selection)
        run = self._database.run
        run(f"UPDATE fact SET supersedes = NULL WHERE supersedes IN {_MARKED}")
        run(f"DELETE FROM source WHERE fact IN {_MARKED} OR document IN {_NAMED}", (selection.document,))
        keys = [(digest(normalise(fact.value)), fact.id) for fact in facts]
        self._database.many("DELETE FROM value_key WHERE key = ? AND fact = ?", keys)
        run(f"DELETE FROM fact WHERE id IN {_MARKED}")
        erased = Erased({"fact": len(facts), "source": selection.sources, "alias": 0, **dict.fromkeys(_TABLES, 0)})
        for table, ids in touched.items():
            for number in ids:
                self._collect(table, number, erased)
        self._bury_entities(namings, revision)
        erased.strings |= {fact.value for fact in facts if not self._stated(fact.value)}
        self._redact(erased.strings)
        erased.tombstones = self._tombstone_count() - before
        return erased

    def _bury(self, facts: Sequence[Fact], namings: dict[str, set[str]], document: str | None, revision: int) -> None:
        stones = self._tombstones
        for name in {name for names in namings.values() for name in names}:
            stones.put(stones.lessened(name), revision)
        for fact in facts:
            for entity, relation in product(
                namings[fact.entity], {fact.relation, *self._relation_names(fact.relation)}
            ):
                for stone in (*stones.propositions(entity, relation, fact.value), *stones.slots(entity, relation)):
                    stones.put(stone, revision)
        if document is not None:
            stones.put(stones.document(document), revision)

    def _bury_entities(self, namings: dict[str, set[str]], revision: int) -> None:
        """An entity of which nothing is left must not be looked for among names spelled alike."""
        for entity, names in namings.items():
            if not any(row.name == entity for row in self._reader.entities_spelled(entity)):
                for name in names:
                    self._tombstones.put(self._tombstones.entity(name), revision)

    def _mark(self, facts: Iterable[int]) -> None:
        """Put ids into a temporary table, which SQLite keeps in memory."""
        self._database.run("CREATE TEMP TABLE IF NOT EXISTS marked (id INTEGER PRIMARY KEY)")
        self._database.run("DELETE FROM marked")
        self._database.many("INSERT INTO marked VALUES (?)", ((number,) for number in facts))

    def _touched(self, selection: Selection) -> dict[str, set[int]]:
        self._mark(selection.facts)
        rows = self._database.rows(f"SELECT entity, relation FROM fact WHERE id IN {_MARKED}")
        sql = f"SELECT document FROM source WHERE fact IN {_MARKED} UNION SELECT id FROM document WHERE name = ?"
        documents = self._database.rows(sql, (selection.document,))
        touched = {table: {row[at] for row in rows} for at, table in enumerate(("entity", "relation"))}
        return {**touched, "document": {row[0] for row in documents}}

    def _collect(self, table: str, number: int, erased: Erased) -> None:
        """Delete a name that nothing uses any more, with its aliases."""
        user = "source" if table == "document" else "fact"
        if self._database.one(f"SELECT 1 FROM {user} WHERE {table} = ? LIMIT 1", (number,)):
            return
        name = str(self._database.scalar(f"SELECT name FROM {table} WHERE id = ?", (number,)))
        erased.strings.add(name)
        erased.counts[table] += 1
        if table != "document":
            self._unspell(table, number, name, erased)
        self._database.run(f"DELETE FROM {table} WHERE id = ?", (number,))

    def _unspell(self, table: str, number: int, name: str, erased: Erased) -> None:
        """Delete the spellings and aliases of a name, and what was learnt of it."""
        run = self._database.run
        aliases = self._database.rows(f"SELECT id, name FROM {table}_alias WHERE target = ?", (number,))
        for alias, spelling in [(0, name), *aliases]:
            norm = normalise(spelling)
            erased.strings |= {spelling, norm}
            run(f"DELETE FROM {table}_spelling WHERE norm = ? AND target = ? AND alias = ?", (norm, number, alias))
            keys = stored_keys(norm) if table == "entity" else ()
            self._database.many(
                "DELETE FROM entity_key WHERE key = ? AND target = ? AND alias = ?", ((k, number, alias) for k in keys)
            )
        erased.counts["alias"] += len(aliases)
        run(f"DELETE FROM {table}_alias WHERE target = ?", (number,))
        if table == "relation":
            run(
                "DELETE FROM relation_pair WHERE b = ? AND a IN (SELECT b FROM relation_pair WHERE a = ?)",
                (number,) * 2,
            )
            run("DELETE FROM relation_pair WHERE a = ?", (number,))

    def _stated(self, value: str) -> bool:
        return any(fact.value == value for fact in self._reader.valued_ever(value))

    def _redact(self, strings: Iterable[str]) -> None:
        """Strike out what the log says with an erased name in it."""
        patterns = [rf"(?<!\w){re.escape(normalise(text))}(?!\w)" for text in strings]
        if not patterns:
            return
        telling = re.compile("|".join(patterns))
        sql = "SELECT id, actor, reason FROM revision WHERE actor <> '' OR reason <> ''"
        for revision, actor, reason in self._database.rows(sql):
            clean = tuple(_REDACTED if telling.search(normalise(text)) else text for text in (actor, reason))
            if clean != (actor, reason):
                self._database.run("UPDATE revision SET actor = ?, reason = ? WHERE id = ?", (*clean, revision))

    def remains(self, text: str) -> bool:
        """Whether some row that is not erased holds the string, alone or within a longer one."""
        if self._reader.valued_ever(text) or self._reader.entities_spelled(text):
            return True
        return any(self._database.one(f"{query} LIMIT 1", (text,)) for query in _HOLDING)

    def _tombstone_count(self) -> int:
        return int(self._database.scalar("SELECT count(*) FROM tombstone"))


def _marks(values: Iterable[object]) -> str:
    return ",".join("?" for _ in values)
