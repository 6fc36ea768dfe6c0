"""Changes of more than one fact: undoing a revision, merging two entities into one, and splitting them again.

Nothing is taken back in the past: what held then still held. A change ends facts and states them anew; each new fact
supersedes the one in whose place it stands, so that history leads through.
"""

from collections.abc import Iterator

from lamlam.errors import InputError, LamLamError
from lamlam.kb.database import Database
from lamlam.kb.fact import Fact
from lamlam.kb.names import normalise
from lamlam.kb.reader import Reader
from lamlam.kb.writer import Writer

__all__ = ["Changes"]

_LINKS = ("entity_alias", "relation_alias", "value_alias", "inverse")


class Changes:
    """Wants an open transaction, whose revision is the writer's."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database, self._reader, self._writer = database, Reader(database), writer

    def undo(self, revision: int) -> int:
        """End what began with a revision and state anew what ended with it; how many facts and names that were.

        Sources that it gave to facts which were known already stay. Raises `InputError` where there is no such
        revision, `LamLamError` where it erased facts, changed none, or a later revision changed them again.
        """
        action = self._database.scalar("SELECT action FROM revision WHERE id = ?", (revision,))
        if action is None or revision >= self._writer.revision:
            raise InputError(f"there is no revision {revision}")
        if action == "forget":
            raise LamLamError(f"revision {revision} forgot facts, and what is forgotten cannot be brought back")
        successors = dict(self._ended_again(revision))
        ended = self._database.rows("SELECT id FROM fact WHERE until = ? AND since < ? ORDER BY id", (revision,) * 2)
        for (number,) in ended:
            (old,) = self._reader.by_id([number])
            self.restate(old, old.entity, successors.get(number, number))
        changed = len(successors) + len(ended) + sum(self._undo_links(table, revision) for table in _LINKS)
        if not changed:
            raise LamLamError(f"revision {revision} changed nothing that holds")
        return changed

    def _ended_again(self, revision: int) -> Iterator[tuple[int, int]]:
        """End the facts that began with a revision: (the id of what each superseded, or its own; its own)."""
        for fact in list(self._reader.began(revision)):
            if fact.until == revision:
                continue
            if fact.until is not None:
                raise LamLamError(
                    f"fact {fact.id} of revision {revision} was changed by revision {fact.until}: undo that first"
                )
            self._writer.end(fact.id)
            yield fact.supersedes or fact.id, fact.id

    def _undo_links(self, table: str, revision: int) -> int:
        """End the aliases, or inverses, that began with a revision, and restore those that ended with it."""
        columns = {"value_alias": "norm, target, name", "inverse": "relation, other"}.get(table, "name, target")
        ended = self._database.run(
            f"UPDATE {table} SET until = ? WHERE since = ? AND until = 0", (self._writer.revision, revision)
        )
        back = self._database.rows(f"SELECT {columns} FROM {table} WHERE until = ? ORDER BY id", (revision,))
        for row in back:
            self._link(table, columns, row)
        return ended + len(back)

    def _link(self, table: str, columns: str, row: tuple) -> None:
        if table.endswith("_alias") and table != "value_alias":
            self._writer.alias(table.removesuffix("_alias"), *row)
            return
        marks = ", ".join("?" * (len(row) + 1))
        sql = f"INSERT INTO {table} ({columns}, since) VALUES ({marks}) ON CONFLICT DO NOTHING"
        self._database.run(sql, (*row, self._writer.revision))

    def restate(self, fact: Fact, entity: str, supersedes: int) -> int:
        """State a fact anew, of an entity, with all its sources; the id of the fact that now says so."""
        number, _ = self._writer.fact(entity, fact.relation, fact.value, supersedes=supersedes)
        for source in fact.sources:
            self._writer.source(number, source)
        return number

    def merge(self, name: str, into: str) -> int:
        """Give all that an entity has to another one, its name as an alias too; how many facts.

        Raises `InputError` where either is not there, `LamLamError` where one of the facts was forgotten of the other.
        """
        gone, kept = (self._reader.owner(each) for each in (name, into))
        if gone.id == kept.id:
            raise InputError(f"'{name}' and '{into}' are one entity already", field="entity")
        facts = list(self._reader.facts(gone.id))
        for fact in facts:
            if self._writer.graves((kept.name,), (fact.relation,), fact.value):
                raise LamLamError(f"fact {fact.id} of '{gone.name}' was forgotten of '{kept.name}': forget it here too")
            self._writer.end(fact.id)
            self.restate(fact, kept.name, fact.id)
        self._move_aliases(gone.id, kept.id)
        self._writer.alias("entity", gone.name, kept.id)
        self._database.run("INSERT INTO meta VALUES ('merged', '1') ON CONFLICT DO NOTHING")
        return len(facts)

    def split(self, name: str) -> int:
        """Give an entity that was merged into another one its facts back, as they stand now; how many.

        Raises `InputError` where it was not merged.
        """
        rows = self._database.rows(
            "SELECT a.id, e.id, a.target, a.since FROM entity_spelling s JOIN entity e ON e.id = s.target "
            "JOIN entity_spelling x ON x.norm = s.norm JOIN entity_alias a ON a.id = x.alias AND a.name = e.name "
            "WHERE s.norm = ? AND s.alias = 0 AND x.alias > 0 AND a.until = 0 AND a.target <> e.id ORDER BY a.id",
            (normalise(name),),
        )
        for alias, gone, kept, merger in rows:
            given = self._database.rows(
                "SELECT id FROM fact WHERE entity = ? AND until = ? ORDER BY id", (gone, merger)
            )
            if given:
                self._database.run("UPDATE entity_alias SET until = ? WHERE id = ?", (self._writer.revision, alias))
                self._move_aliases(kept, gone, merger)
                return sum(self._take_back(number, kept) for (number,) in given)
        raise InputError(f"'{name}' was not merged into another entity", field="entity")

    def _take_back(self, number: int, kept: int) -> bool:
        """State anew what became of a fact that was given away; nothing where it ended since."""
        (given,) = self._reader.by_id([number])
        heirs = [fact for fact in self._reader.lineage(number) if fact.id > number and fact.since > given.since]
        if not heirs:  # the other entity had the fact already, and keeps it
            self.restate(given, given.entity, number)
            return True
        last = heirs[-1]
        if last.until is not None:
            return False
        self._writer.end(last.id)
        self.restate(last, given.entity, last.id)
        return True

    def _move_aliases(self, source: int, target: int, since: int | None = None) -> None:
        """Let the aliases of one entity (those made by a revision only, if it is named) be another one's."""
        sql = "SELECT id, name FROM entity_alias WHERE target = ? AND until = 0" + (" AND since = ?" if since else "")
        for number, name in self._database.rows(sql, (source, since) if since else (source,)):
            self._database.run("UPDATE entity_alias SET until = ? WHERE id = ?", (self._writer.revision, number))
            self._writer.alias("entity", name, target)
