"""Erase what was selected and all that only it used, and leave tombstones in its place.

Which facts go together is left to `kb.closure`, transactions to `kb.store`, and blanking what deleted rows leave in the
file to the database.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

from lamlam.kb.closure import Closure, Selection
from lamlam.kb.database import Database
from lamlam.kb.fact import Fact
from lamlam.kb.names import normalise, value_key
from lamlam.kb.reader import FactReader
from lamlam.kb.remains import Tombstones
from lamlam.kb.writer import unspell

__all__ = ["Erased", "Forgetter"]

_TABLES = ("entity", "relation", "document")
_REDACTED = "[erased]"
_MARKED = "(SELECT id FROM marked)"


@dataclass(slots=True)
class Erased:
    """Rows erased by table, the strings that must now be in no file, and how many tombstones were added."""

    counts: dict[str, int]
    strings: set[str] = field(default_factory=set)
    tombstones: int = 0


class Forgetter:
    """Erases what a closure selected, within an open transaction."""

    def __init__(self, database: Database, tombstones: Tombstones, closure: Closure) -> None:
        self._database, self._tombstones, self._closure = database, tombstones, closure
        self._reader = FactReader(database)

    def erase(self, selection: Selection, revision: int) -> Erased:
        """Delete the rows and all that only they used, leave tombstones, and return what was erased."""
        facts = self._reader.by_id(list(selection.facts))
        before = self._tombstone_count()
        namings = {fact.entity: self._closure.entity_names(fact.entity) for fact in facts}
        self._put_tombstones(facts, namings, selection.documents, revision)
        touched = self._touched(selection)
        run = self._database.run
        run(f"UPDATE fact SET supersedes = NULL WHERE supersedes IN {_MARKED}")
        for document in selection.documents:
            run("DELETE FROM source WHERE document IN (SELECT id FROM document WHERE name = ?)", (document,))
        run(f"DELETE FROM source WHERE fact IN {_MARKED}")
        keys = [(value_key(fact.value), fact.id) for fact in facts]
        self._database.many("DELETE FROM value_key WHERE key = ? AND fact = ?", keys)
        run(f"DELETE FROM fact WHERE id IN {_MARKED}")
        erased = Erased({"fact": len(facts), "source": selection.sources, "alias": 0, **dict.fromkeys(_TABLES, 0)})
        for table, ids in touched.items():
            for number in ids:
                self._collect(table, number, erased)
        gone = {entity: names for entity, names in namings.items() if not self._is_there(entity)}
        for names in gone.values():
            for name in names:  # must not be looked for among names spelled alike
                self._tombstones.put(self._tombstones.entity(name), revision)
            self._collect_past_aliases(names, erased)
        if erased.counts["relation"]:
            self._tombstones.unnamed(revision)
        self._collect_values({fact.value for fact in facts}, erased)
        for names in gone.values():
            self._collect_synonyms(names, erased)
        self._redact(erased.strings)
        self._database.run("INSERT INTO meta VALUES ('erasing', '1') ON CONFLICT DO NOTHING")
        erased.tombstones = self._tombstone_count() - before
        return erased

    def _put_tombstones(
        self, facts: Sequence[Fact], namings: dict[str, set[str]], documents: Iterable[str], revision: int
    ) -> None:
        tombstones = self._tombstones
        called: dict[str, set[str]] = defaultdict(set)  # each name, to all names of the entities that it names
        for names in namings.values():
            for name in names:
                called[name] |= names
        for name in called:
            tombstones.put(tombstones.partly_forgotten(name), revision)
        for fact in facts:
            names, values = namings[fact.entity], self._closure.values(fact.value)
            values = values.union(*(called[value] for value in values if value in called))
            for entity, relation in product(names, {fact.relation, *self._closure.relation_names(fact.relation)}):
                digests = {d for value in values for d in tombstones.propositions(entity, relation, value)}
                for digest in (*digests, *tombstones.slots(entity, relation)):
                    tombstones.put(digest, revision)
            for value, inverse, entity in product(values, self._closure.inverses(fact.relation), names):
                for digest in tombstones.propositions(value, inverse, entity):
                    tombstones.put(digest, revision)
        for document in documents:
            tombstones.put(tombstones.document(document), revision)

    def _is_there(self, entity: str) -> bool:
        return any(row.name == entity for row in self._reader.entities_spelled(entity))

    def _collect_past_aliases(self, names: Iterable[str], erased: Erased) -> None:
        """Delete the names of an erased entity where they were once aliases of others, as after a merger."""
        sql = """
            SELECT a.id, a.name, a.target, s.norm FROM entity_spelling s JOIN entity_alias a ON a.id = s.alias
            WHERE s.norm = ? AND s.alias > 0 AND a.until > 0
        """
        for name in names:
            for alias, spelling, target, norm in self._database.rows(sql, (name,)):
                erased.strings |= {spelling, norm}
                unspell(self._database, "entity", norm, target, alias)
                erased.counts["alias"] += self._database.run("DELETE FROM entity_alias WHERE id = ?", (alias,))

    def _mark(self, facts: Iterable[int]) -> None:
        """Put ids into a temporary table, which SQLite keeps in memory."""
        self._database.run("CREATE TEMP TABLE IF NOT EXISTS marked (id INTEGER PRIMARY KEY)")
        self._database.run("DELETE FROM marked")
        self._database.many("INSERT INTO marked VALUES (?)", ((number,) for number in facts))

    def _touched(self, selection: Selection) -> dict[str, set[int]]:
        self._mark(selection.facts)
        rows = self._database.rows(f"SELECT entity, relation FROM fact WHERE id IN {_MARKED}")
        documents = {row[0] for row in self._database.rows(f"SELECT document FROM source WHERE fact IN {_MARKED}")}
        documents |= {number for name in selection.documents if (number := self._reader.document(name)) is not None}
        touched = {table: {row[at] for row in rows} for at, table in enumerate(("entity", "relation"))}
        return {**touched, "document": documents}

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
        """Delete the spellings and aliases of a name, and what was learnt about it."""
        run = self._database.run
        aliases = self._database.rows(f"SELECT id, name FROM {table}_alias WHERE target = ?", (number,))
        for alias, spelling in [(0, name), *aliases]:
            norm = normalise(spelling)
            erased.strings |= {spelling, norm}
            unspell(self._database, table, norm, number, alias)
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
        """Note values that no fact states any more, and delete what was declared to be the same as they are."""
        for value in values:
            if not self._reader.is_stated(value):
                erased.strings.add(value)
            self._collect_synonyms([value], erased)

    def _collect_synonyms(self, values: Iterable[str], erased: Erased) -> None:
        """Delete the aliases of values that no fact states, under any name, any more."""
        if self._database.one("SELECT 1 FROM value_alias LIMIT 1") is None:
            return
        for names in map(self._closure.values, values):
            if any(self._reader.valued_ever(name) for name in names):
                continue
            for norm in names:
                sql = "FROM value_alias WHERE norm = ? OR target = ?"
                rows = self._database.rows(f"SELECT name, norm, target {sql}", (norm, norm))
                erased.strings |= {text for row in rows for text in row}
                erased.counts["alias"] += self._database.run(f"DELETE {sql}", (norm, norm))

    def _redact(self, strings: Iterable[str]) -> None:
        """Redact log entries that contain an erased name."""
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
