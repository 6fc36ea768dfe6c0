"""Write facts: what is new, what is known already, and what must not come back.

A writer works inside a transaction and under a given revision; `kb.store` decides when either begins and ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from lamlam.corpus.corpus import FactRecord
from lamlam.errors import InputError
from lamlam.kb.database import Database
from lamlam.kb.fact import Source
from lamlam.kb.name_reader import NameReader
from lamlam.kb.names import canonical, checked, normalise, stored_keys, value_key
from lamlam.kb.remains import Tombstones

__all__ = ["AddReport", "Writer", "checked_span", "spell", "unspell"]

_CACHED_NAMES = 500_000
_LAST_CHARACTER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class AddReport:
    """How many facts were new and how many known already, and the records refused because they were forgotten.

    `allowed` counts the forgotten records that were let in all the same.
    """

    added: int
    known: int
    refused: tuple[FactRecord, ...] = ()
    allowed: int = 0


class Writer:
    """Writes under one revision."""

    def __init__(self, database: Database, tombstones: Tombstones, revision: int) -> None:
        self._database, self._tombstones, self.revision = database, tombstones, revision
        self._names = NameReader(database)
        self._ids: dict[tuple[str, str], int] = {}
        self._guarded = tombstones.any()
        self._value_aliases = self._names.has_value_aliases()
        self._merged = database.one("SELECT 1 FROM meta WHERE key = 'merged'") is not None

    def add(self, records: Iterable[FactRecord], source: Source | None, allow: bool = False) -> AddReport:
        """Add facts, then the aliases that came with them, so that a name with facts of its own keeps them."""
        added = known = allowed = 0
        refused = []
        aliases: dict[tuple[str, int, str], None] = {}
        for record in records:
            origin = source if record.document is None else Source(record.document, record.start, record.end)
            entity, relation = self.named("entity", record.entity), self.named("relation", record.relation)
            if self._guarded and (
                held := self.tombstones_for((record.entity, entity), (record.relation, relation), record.value, origin)
            ):
                if not allow:
                    refused.append(record)
                    continue
                self._tombstones.lift(held)
                allowed += 1
            fact, new = self.fact(entity, relation, record.value)
            added, known = added + new, known + (not new)
            if origin is not None:
                self.source(fact, origin)
            for alias in record.entity_aliases:
                aliases["entity", self._id("entity", entity), checked(alias, "aliases.entity")] = None
            for alias in record.relation_aliases:
                aliases["relation", self._id("relation", relation), checked(alias, "aliases.relation")] = None
        for table, target, alias in aliases:
            self.alias(table, alias, target)
        return AddReport(added, known, tuple(refused), allowed)

    def named(self, table: str, name: str) -> str:
        """Return the canonical name: an alias of one entity (or relation) that is no name of its own means that one.

        So does the name of an entity that was merged into another.
        """
        name = canonical(checked(name, table))
        if (table, name) in self._ids:
            return name
        own = self.find(table, name)
        if own and not (self._merged and table == "entity" and self._is_empty(own)):
            self._remember(table, name, own)
            return name
        targets = self._database.rows(
            f"SELECT DISTINCT t.name FROM {table}_spelling s JOIN {table}_alias a ON a.id = s.alias "
            f"JOIN {table} t ON t.id = s.target WHERE s.norm = ? AND s.alias > 0 AND a.until = 0",
            (normalise(name),),
        )
        return targets[0][0] if len(targets) == 1 else name

    def _is_empty(self, entity: int) -> bool:
        return self._database.one("SELECT 1 FROM fact WHERE entity = ? AND until = 0 LIMIT 1", (entity,)) is None

    def tombstones_for(
        self, entities: Iterable[str], relations: Iterable[str], value: str, source: Source | None = None
    ) -> set[bytes]:
        """Return the tombstones of a proposition, under any of these names, and of the document that it comes from."""
        checked(value, "value")
        tombstones = self._tombstones
        values = self._names.same_values(value) if self._value_aliases else (value,)
        asked = product(set(entities), set(relations), values)
        digests = [digest for proposition in asked for digest in tombstones.propositions(*proposition)]
        return tombstones.held_of([*digests, *([tombstones.document(source.document)] if source else [])])

    def fact(
        self, entity: str, relation: str, value: str, supersedes: int | None = None, *, exactly: bool = False
    ) -> tuple[int, bool]:
        """Return the id of the fact that states a proposition now, and whether it is new.

        A fact whose value is another name of this value counts as well, unless it must be `exactly` this one.
        """
        slot = (self._id("entity", entity), self._id("relation", relation))
        sql = "SELECT id, until FROM fact WHERE entity = ? AND relation = ? AND value = ? AND until IN (0, ?)"
        if known := self._database.one(sql, (*slot, checked(value, "value"), self.revision)):
            number, until = known
            if until:  # what ends and begins in one revision never ended
                self._database.run("UPDATE fact SET until = 0 WHERE id = ?", (number,))
            return number, bool(until)
        if self._value_aliases and not exactly and (number := self._stating_the_same(slot, value)):
            return number, False
        sql = "INSERT INTO fact (entity, relation, value, since, supersedes) VALUES (?, ?, ?, ?, ?) RETURNING id"
        number = self._database.scalar(sql, (*slot, value, self.revision, supersedes))
        self._database.run("INSERT INTO value_key VALUES (?, ?)", (value_key(value), number))
        return number, True

    def _stating_the_same(self, slot: tuple[int, int], value: str) -> int | None:
        """Return the fact of a slot whose value is another name of this one."""
        names = self._names.same_values(value)
        rows = self._database.rows("SELECT id, value FROM fact WHERE entity = ? AND relation = ? AND until = 0", slot)
        return next((number for number, held in rows if normalise(held) in names), None)

    def end(self, fact: int) -> None:
        self._database.run("UPDATE fact SET until = ? WHERE id = ?", (self.revision, fact))

    def source(self, fact: int, source: Source) -> None:
        checked_span(source.start, source.end)
        document = self._id("document", source.document)
        self._database.run(
            'INSERT INTO source (fact, document, start, "end", since) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
            (fact, document, source.start, source.end, self.revision),
        )

    def alias(self, table: str, name: str, target: int) -> bool:
        """Point a name at an entity or a relation; return False if it does already."""
        name = canonical(checked(name, "aliases"))
        number = self._database.scalar(
            f"INSERT INTO {table}_alias (name, target, since) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING id",
            (name, target, self.revision),
        )
        if number:
            spell(self._database, table, normalise(name), target, number)
        return number is not None

    def value_alias(self, name: str, value: str) -> bool:
        """Let two values be the same; return False if they are already. What stood for either stands for both."""
        norm, target = normalise(checked(name, "aliases")), self._names.value_target(checked(value, "value"))
        if norm in self._names.same_values(value):
            return False
        moved = [
            (norm, name),
            *self._database.rows("SELECT norm, name FROM value_alias WHERE target = ? AND until = 0", (norm,)),
        ]
        self._database.run("UPDATE value_alias SET until = ? WHERE target = ? AND until = 0", (self.revision, norm))
        sql = "INSERT INTO value_alias (norm, target, name, since) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        self._database.many(sql, ((norm, target, spelled, self.revision) for norm, spelled in moved))
        self._value_aliases = True
        return True

    def inverse(self, relation: int, other: int) -> bool:
        """Declare that two relations are inverse; return False if that is declared already."""
        sql = "INSERT INTO inverse (relation, other, since) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        pairs = {(relation, other), (other, relation)}
        return sum(self._database.run(sql, (*pair, self.revision)) for pair in sorted(pairs)) > 0

    def _id(self, table: str, name: str) -> int:
        """Return the number of a name, which it gets when it is first used."""
        name = name if table == "document" else canonical(name)
        known = self._ids.get((table, name))
        if known is None:
            checked(name, table)
            known = self.find(table, name) or self._new(table, name)
            self._remember(table, name, known)
        return known

    def _remember(self, table: str, name: str, number: int) -> None:
        if len(self._ids) >= _CACHED_NAMES:
            self._ids.clear()
        self._ids[table, name] = number

    def find(self, table: str, name: str) -> int | None:
        """Return the number of exactly this name, in its canonical form; None if it has none."""
        if table == "document":
            return self._database.scalar("SELECT id FROM document WHERE name = ?", (name,))
        return self._database.scalar(
            f"SELECT t.id FROM {table}_spelling s JOIN {table} t ON t.id = s.target "
            "WHERE s.norm = ? AND s.alias = 0 AND t.name = ?",
            (normalise(name), canonical(name)),
        )

    def _new(self, table: str, name: str) -> int:
        number = int(self._database.scalar(f"INSERT INTO {table} (name) VALUES (?) RETURNING id", (name,)))
        if table != "document":
            spell(self._database, table, normalise(name), number)
        return number


def spell(database: Database, table: str, norm: str, target: int, alias: int = 0) -> None:
    """Let an entity or relation be found by a normalised name, or alias."""
    sql = f"INSERT INTO {table}_spelling VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    database.run(sql, (norm, target, alias))
    if table == "entity":
        sql = "INSERT INTO entity_key VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        database.many(sql, ((key, target, alias) for key in stored_keys(norm)))


def unspell(database: Database, table: str, norm: str, target: int, alias: int = 0) -> None:
    """Let it be found by this name no longer."""
    sql = f"DELETE FROM {table}_spelling WHERE norm = ? AND target = ? AND alias = ?"
    database.run(sql, (norm, target, alias))
    if table == "entity":
        sql = "DELETE FROM entity_key WHERE key = ? AND target = ? AND alias = ?"
        database.many(sql, ((key, target, alias) for key in stored_keys(norm)))


def checked_span(start: int | None, end: int | None) -> tuple[int | None, int | None]:
    """Return a span of characters that may be stored. Raises `InputError` if it is invalid."""
    if (start is None) != (end is None) or not 0 <= (start or 0) <= (end or 0) <= _LAST_CHARACTER:
        raise InputError(f"is not a valid span: {start} to {end}", field="source")
    return start, end
