"""Forgetting: erasing the rows of what was selected and all that only they used, and leaving tombstones in their place.

Which facts go together is left to `kb.closure`; transactions to `kb.store`, and overwriting what deleted rows leave in
the file to the database.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

from lamlam.kb.blocking import stored_keys, value_key
from lamlam.kb.closure import Closure, Selection
from lamlam.kb.database import Database
from lamlam.kb.fact import Fact
from lamlam.kb.names import normalise
from lamlam.kb.reader import Reader
from lamlam.kb.tombstones import Tombstones

__all__ = ["Erased", "Forgetter"]

_TABLES = ("entity", "relation", "document")
_REDACTED = "[erased]"
_MARKED = "(SELECT id FROM marked)"
_NAMED = "(SELECT id FROM document WHERE name = ?)"


@dataclass(slots=True)
class Erased:
    """Rows erased by table, the strings that must now be in no file, and how many tombstones were put."""

    counts: dict[str, int]
    strings: set[str] = field(default_factory=set)
    tombstones: int = 0


class Forgetter:
    """Erases what a closure selected. Wants an open transaction."""

    def __init__(self, database: Database, tombstones: Tombstones, closure: Closure) -> None:
        self._database, self._tombstones, self._closure = database, tombstones, closure
        self._reader = Reader(database)

    def erase(self, selection: Selection, revision: int) -> Erased:
        """Delete the rows and all that only they used; leave tombstones. Returns the strings that must now be gone."""
        facts = self._reader.by_id(list(selection.facts))
        before = self._tombstone_count()
        namings = {fact.entity: self._closure.entity_names(fact.entity) for fact in facts}
        self._bury(facts, namings, selection.document, revision)
        touched = self._touched(selection)
        run = self._database.run
        run(f"UPDATE fact SET supersedes = NULL WHERE supersedes IN {_MARKED}")
        run(f"DELETE FROM source WHERE fact IN {_MARKED} OR document IN {_NAMED}", (selection.document,))
        keys = [(value_key(fact.value), fact.id) for fact in facts]
        self._database.many("DELETE FROM value_key WHERE key = ? AND fact = ?", keys)
        run(f"DELETE FROM fact WHERE id IN {_MARKED}")
        erased = Erased({"fact": len(facts), "source": selection.sources, "alias": 0, **dict.fromkeys(_TABLES, 0)})
        for table, ids in touched.items():
            for number in ids:
                self._collect(table, number, erased)
        self._bury_entities(namings, revision)
        if erased.counts["relation"]:
            self._tombstones.unnamed(revision)
        self._collect_values({fact.value for fact in facts}, erased)
        self._redact(erased.strings)
        self._database.run("INSERT INTO meta VALUES ('erasing', '1') ON CONFLICT DO NOTHING")
        erased.tombstones = self._tombstone_count() - before
        return erased

    def _bury(self, facts: Sequence[Fact], namings: dict[str, set[str]], document: str | None, revision: int) -> None:
        stones = self._tombstones
        for name in {name for names in namings.values() for name in names}:
            stones.put(stones.lessened(name), revision)
        for fact in facts:
            names, values = namings[fact.entity], self._closure.values(fact.value)
            for entity, relation in product(names, {fact.relation, *self._closure.relation_names(fact.relation)}):
                graves = {stone for value in values for stone in stones.propositions(entity, relation, value)}
                for stone in (*graves, *stones.slots(entity, relation)):
                    stones.put(stone, revision)
            for value, inverse, entity in product(values, self._closure.inverses(fact.relation), names):
                for stone in stones.propositions(value, inverse, entity):
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
            run("DELETE FROM inverse WHERE relation = ? OR other = ?", (number, number))

    def _collect_values(self, values: Iterable[str], erased: Erased) -> None:
        """Values that no fact states any more are gone, and what they are as well, where no fact states that either."""
        for value in values:
            if not self._reader.is_stated(value):
                erased.strings.add(value)
            names = self._closure.values(value)
            if len(names) == 1 or any(self._reader.valued_ever(name) for name in names):
                continue
            for norm in names:
                rows = self._database.rows("SELECT name, norm, target FROM value_alias WHERE norm = ?", (norm,))
                erased.strings |= {text for row in rows for text in row}
                erased.counts["alias"] += self._database.run("DELETE FROM value_alias WHERE norm = ?", (norm,))

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

    def _tombstone_count(self) -> int:
        return int(self._database.scalar("SELECT count(*) FROM tombstone"))
