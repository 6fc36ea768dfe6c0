"""Which entities were merged into which, as their names and facts show: nothing else records a merger.

A merger makes the name of the entity that goes an alias of the one that is kept, and moves its aliases there. If that
one is merged in its turn, its aliases move again: each begins in the revision in which the one before it ended, and so
leads back to the merger. Undoing mergers is left to `kb.changes`.
"""

from collections.abc import Iterator
from typing import NamedTuple

from lamlam.kb.database import Database
from lamlam.kb.fact import Fact
from lamlam.kb.names import normalise
from lamlam.kb.reader import NameRow

__all__ = ["AliasRow", "Merger", "Mergers"]


class AliasRow(NamedTuple):
    """A row of the aliases of entities."""

    id: int
    target: int
    since: int
    until: int


class Merger(NamedTuple):
    """The entity that went, by number and name; the one that has its facts now; the revision that merged it."""

    gone: int
    name: str
    kept: int
    revision: int


class Mergers:
    """Reads the mergers that are in force."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, gone: NameRow) -> Merger | None:
        """Return the merger of an entity into another one; None if it is an entity of its own."""
        rows = [row for row in self.rows(gone.name) if row.target != gone.id]
        for row in reversed(rows):
            if row.until == 0:
                *_, first = _back(row, rows)
                if self._merged(gone.id, first.since):
                    return Merger(gone.id, gone.name, row.target, first.since)
        return None

    def into(self, kept: int) -> list[Merger]:
        """Return the entities that are merged into one."""
        sql = """
            SELECT DISTINCT e.id, e.name FROM entity_alias a JOIN entity_spelling s ON s.target = a.target
            AND s.alias = a.id JOIN entity_spelling n ON n.norm = s.norm AND n.alias = 0
            JOIN entity e ON e.id = n.target AND e.name = a.name WHERE a.target = ? AND a.until = 0 AND e.id <> ?
        """
        names = (NameRow(row[0], row[1], normalise(row[1])) for row in self._database.rows(sql, (kept, kept)))
        return [merger for name in names if (merger := self.of(name)) is not None and merger.kept == kept]

    def given(self, merger: Merger) -> list[int]:
        """Return the facts that the entity had when it was merged, by id."""
        sql = "SELECT id FROM fact WHERE entity = ? AND until = ? ORDER BY id"
        return [row[0] for row in self._database.rows(sql, (merger.gone, merger.revision))]

    def aliases(self, merger: Merger) -> Iterator[tuple[str, AliasRow | None]]:
        """Yield the aliases that came with the entity, each with the row by which the other entity has it now.

        The row is None for an alias that the other entity had already. Aliases that it has lost since are left out.
        """
        sql = "SELECT DISTINCT name FROM entity_alias WHERE target = ? AND until = ? ORDER BY name"
        for (name,) in self._database.rows(sql, (merger.gone, merger.revision)):
            rows = self.rows(name)
            now = [row for row in rows if row.until == 0 and row.target == merger.kept]
            moved = [row for row in now if any(former.target == merger.gone for former in _back(row, rows))]
            began = next((row for row in rows if row.since == merger.revision), None)
            if moved or began is None or self._is_absorbed(began, rows):
                yield name, moved[0] if moved else None

    def _is_absorbed(self, row: AliasRow, rows: list[AliasRow]) -> bool:
        """Whether an alias, moved by mergers of its target, ended because the last target had the alias already."""
        while row.until:
            onto = {other.target for other in self.rows(self._name(row.target).name) if other.since == row.until}
            moved = [other for other in rows if other.since == row.until and other.target in onto]
            if not moved:
                return bool(onto) and all(other.since != row.until for other in rows)
            row = moved[0]
        return False

    def _name(self, entity: int) -> NameRow:
        name = str(self._database.scalar("SELECT name FROM entity WHERE id = ?", (entity,)))
        return NameRow(entity, name, normalise(name))

    def absorbed(self, fact: Fact) -> bool:
        """Whether a fact ended because its entity was merged into one that had the same fact already."""
        return any(row.since == fact.until for row in self.rows(fact.entity))

    def rows(self, name: str) -> list[AliasRow]:
        """Return all that a name was ever an alias of, the oldest first."""
        sql = """
            SELECT DISTINCT a.id, a.target, a.since, a.until
            FROM entity_spelling s JOIN entity_alias a ON a.id = s.alias
            WHERE s.norm = ? AND s.alias > 0 AND a.name = ? ORDER BY a.id
        """
        return [AliasRow(*row) for row in self._database.rows(sql, (normalise(name), name))]

    def _merged(self, entity: int, revision: int) -> bool:
        """Whether a name became an alias by a merger, and not because somebody added it."""
        if self._database.one("SELECT 1 FROM fact WHERE entity = ? AND until = ? LIMIT 1", (entity, revision)):
            return True
        return bool(self._database.scalar("SELECT action FROM revision WHERE id = ?", (revision,)) == "merge")


def _back(row: AliasRow, rows: list[AliasRow]) -> Iterator[AliasRow]:
    """Yield the alias, and what it was before each merger that moved it."""
    found: AliasRow | None = row
    while found is not None:
        yield found
        last = found
        found = next((row for row in rows if row.until == last.since and row.id < last.id), None)
