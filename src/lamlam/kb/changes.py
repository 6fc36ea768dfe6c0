"""Changes of more than one fact: undo a revision, merge two entities into one, and split them again.

The past stays as it was: what held then still held. A change ends facts and states them again; each new fact supersedes
the one whose place it takes, so that history leads through. That is how a later change finds a fact that was taken away
and brought back, or moved by a merger, under whatever id it is stated now.
"""

from lamlam.errors import InputError, LamLamError
from lamlam.kb.database import Database, get_meta, set_meta
from lamlam.kb.fact import Fact
from lamlam.kb.mergers import Merger, Mergers
from lamlam.kb.reader import FactReader, NameRow
from lamlam.kb.writer import Writer

__all__ = ["Changes"]

_UNDONE = "undone:"  # with the revision that undid it, what was undone
_LINKS = {
    "entity_alias": ("name", "target"),
    "relation_alias": ("name", "target"),
    "value_alias": ("norm", "target", "name"),
    "inverse": ("relation", "other"),
}


class Changes:
    """Works in an open transaction, whose revision is the writer's."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database, self._reader, self._writer = database, FactReader(database), writer
        self._mergers, self._merged = Mergers(database), dict[int, list[Merger]]()

    # Undoing

    def undo(self, revision: int) -> int:
        """End what began with a revision, state again what ended with it, and return how many facts and names that
        were.

        Undone from the latest on, revisions lead back to any state since which nothing was forgotten. Sources that a
        revision gave to known facts stay. Raises `InputError` if there is no such revision, `LamLamError` if it erased
        facts, changed none, or a later revision changed them again.
        """
        action = self._database.scalar("SELECT action FROM revision WHERE id = ?", (revision,))
        if action is None or revision >= self._writer.revision:
            raise InputError(f"there is no revision {revision}")
        if action == "forget":
            raise LamLamError(f"revision {revision} forgot facts, and what is forgotten cannot be brought back")
        mergers = self._merged_by(revision) if self._is_regrouped(revision) else None
        regrouped = mergers is not None
        links = sum(self._undo_links(table, revision, regrouped) for table in _LINKS)
        successors, split_off = self._end_again(revision, regrouped)
        sql = "SELECT id FROM fact WHERE until = ? AND since < ? ORDER BY id"
        ended = [row[0] for row in self._database.rows(sql, (revision,) * 2) if row[0] not in split_off]
        restated = 0
        for old in self._reader.by_id(ended):
            if regrouped and old.id not in successors and self._is_elsewhere(old):
                continue
            restated += self.restate(old, old.entity, successors.get(old.id, old.id))
            for owner in (mergers or {}).get(old.entity, ()):
                self._drop_orphan(owner, old)
        changed = len(successors) + restated + links
        if not changed:
            raise LamLamError(f"revision {revision} changed nothing that holds")
        key = f"{_UNDONE}{self._writer.revision}"
        set_meta(self._database, key, f"{get_meta(self._database, key) or ''} {revision}")
        return changed

    def _is_regrouped(self, revision: int) -> bool:
        """Whether mergers, or splits, that came after a revision are still in force."""
        sql = "SELECT id, action FROM revision WHERE id > ? AND id < ? ORDER BY id DESC"
        undone: set[int] = set()
        for later, action in self._database.rows(sql, (revision, self._writer.revision)):
            if later in undone:
                continue
            if action in ("merge", "split", "transaction"):
                return True
            if action == "undo":
                targets = {int(number) for number in (get_meta(self._database, f"{_UNDONE}{later}") or "0").split()}
                undone |= targets
                if min(targets) <= revision:
                    return True
        return False

    def _end_again(self, revision: int, regrouped: bool) -> tuple[dict[int, int], set[int]]:
        """End what the facts that began with a revision state.

        Returns the id of the fact that stated it, by that of what the fact superseded, or by its own; and, if later
        mergers are in force, the ids of what those facts superseded that an entity took along when it was split off.
        """
        successors: dict[int, int] = {}
        split_off: set[int] = set()
        for fact in list(self._reader.began(revision)):
            if fact.until == revision:
                continue
            heirs = [] if fact.until is None else self._reader.heirs(fact.id)
            last = heirs[-1] if heirs else fact
            if (standing := self._standing(fact, heirs)) is not None:
                if not (regrouped and self._is_claimed(standing)):
                    self._writer.end(standing.id)
                if regrouped and self._is_elsewhere(standing):  # it stayed for another entity that had it, too
                    split_off.add(fact.supersedes or fact.id)
                else:
                    successors[fact.supersedes or fact.id] = standing.id
            elif regrouped and last.entity not in self._bearers(fact.entity):
                split_off.add(fact.supersedes or fact.id)
            elif regrouped and last.until is not None and self._mergers.absorbed(last):
                successors[fact.supersedes or fact.id] = last.id
            else:
                raise LamLamError(
                    f"fact {fact.id} of revision {revision} was changed by revision {fact.until}: undo that first"
                )
        return successors, split_off

    def _standing(self, fact: Fact, heirs: list[Fact]) -> Fact | None:
        """Return the fact that states the same now: itself, or one that was stated again in its place, or moved by a
        merger."""
        bearers = self._bearers(fact.entity)
        same = [heir for heir in (fact, *heirs) if heir.until is None and _statement(heir) == _statement(fact)]
        found = [heir for heir in same if heir.entity in bearers]
        return max(found, key=lambda heir: (heir.entity == fact.entity, heir.id), default=None)

    def _bearers(self, entity: str) -> set[str]:
        """Return an entity and those that its name was ever an alias of."""
        return {entity, *(self._name(row.target) for row in self._mergers.rows(entity))}

    def _is_elsewhere(self, fact: Fact) -> bool:
        """Whether another entity has what became of a fact, since it was split off."""
        return any(heir.until is None and heir.entity != fact.entity for heir in self._reader.heirs(fact.id))

    def _merged_by(self, revision: int) -> dict[str, set[int]]:
        """Return the names that a revision made aliases, each with the entities that have what was merged into
        these."""
        owners: dict[str, set[int]] = {}
        sql = "SELECT a.name, t.id, t.name FROM entity_alias a JOIN entity t ON t.id = a.target WHERE a.since = ?"
        for name, number, target in self._database.rows(sql, (revision,)):
            merger = self._mergers.of(NameRow(number, target, ""))
            owners.setdefault(name, set()).update({number, merger.kept if merger else number})
        return owners

    def _undo_links(self, table: str, revision: int, regrouped: bool) -> int:
        """End the aliases, or inverses, that began with a revision, and restore those that ended with it."""
        columns = ", ".join(_LINKS[table])
        sql = f"SELECT id, until, {columns} FROM {table} WHERE since = ? AND until <> ? ORDER BY id"
        standing: dict[int, str] = {}
        split_off: set[str] = set()
        for number, until, *content in self._database.rows(sql, (revision, revision)):
            found, ended = self._standing_link(table, number, until, content, regrouped)
            if found:
                standing[found] = content[0]
            elif regrouped and not self._is_absorbed_link(table, content[0], ended):
                split_off.add(content[0])
        split_off.difference_update(standing.values())
        sql = f"SELECT {columns} FROM {table} WHERE until = ? AND since < ? ORDER BY id"
        back = [row for row in self._database.rows(sql, (revision, revision)) if row[0] not in split_off]
        now = self._writer.revision
        self._database.many(f"UPDATE {table} SET until = ? WHERE id = ?", ((now, number) for number in standing))
        return len(standing) + sum(self._link(table, columns, row) for row in back)

    def _standing_link(
        self, table: str, number: int, until: int, row: list, regrouped: bool
    ) -> tuple[int | None, tuple]:
        """Return the id of what an alias, or inverse, is now: restored by an undo, or moved by mergers that are in
        force.

        If there is none, return None, and the revision in which it ended last, with its target.
        """
        same = " AND ".join(f"{column} = ?" for column in _LINKS[table])
        sql = f"SELECT id, until FROM {table} WHERE {same} AND id >= ? ORDER BY id DESC"
        ended = (until, row[1])
        waiting, reached = [row], {row[1]}
        for content in waiting:
            rows = self._database.rows(sql, (*content, number))
            for found, its_until in rows:
                if not its_until:
                    return found, ()
            for _, its_until in rows if regrouped else ():
                ended = (its_until, content[1])
                moved = self._moved_links(table, its_until, content[0], content[1])
                waiting += [link for link in moved if link[1] not in reached]
                reached |= {link[1] for link in moved}
        return None, ended

    def _moved_links(self, table: str, until: int, name: str, target: str | int) -> list[list]:
        """Return the columns of the aliases that a merger of the target made from one that ended."""
        if table not in ("entity_alias", "value_alias"):
            return []
        key, columns = _LINKS[table][0], ", ".join(f"a.{column}" for column in _LINKS[table])
        sql = f"""
            SELECT {columns} FROM {table} a JOIN {table} m ON m.target = a.target AND m.since = a.since
            WHERE a.{key} = ? AND a.since = ? AND m.{key} = ? ORDER BY a.id
        """
        return [list(row) for row in self._database.rows(sql, (name, until, self._key(table, target)))]

    def _is_absorbed_link(self, table: str, name: str, ended: tuple) -> bool:
        """Whether an alias ended because its target was merged into something that had the alias already."""
        if table not in ("entity_alias", "value_alias"):
            return False
        until, target = ended
        sql = f"SELECT 1 FROM {table} WHERE {_LINKS[table][0]} = ? AND since = ? LIMIT 1"
        merged, moved = (self._database.one(sql, (key, until)) for key in (self._key(table, target), name))
        return merged is not None and moved is None

    def _key(self, table: str, target: str | int) -> str:
        """Return the name under which the target of an alias is an alias itself."""
        return str(target) if table == "value_alias" else self._name(int(target))

    def _link(self, table: str, columns: str, row: tuple) -> int:
        """Put an alias, or inverse, in force again; return 0 if it is."""
        if table.endswith("_alias") and table != "value_alias":
            return self._writer.alias(table.removesuffix("_alias"), *row)
        marks = ", ".join("?" * (len(row) + 1))
        sql = f"INSERT INTO {table} ({columns}, since) VALUES ({marks}) ON CONFLICT DO NOTHING"
        return self._database.run(sql, (*row, self._writer.revision))

    def restate(self, fact: Fact, entity: str, supersedes: int, *, exactly: bool = True) -> bool:
        """State a fact again, of an entity, with all its sources; return False if a fact that holds states it.

        Unless it must be `exactly` this one, it may be a fact whose value is another name of this value. Raises
        `LamLamError` if it was forgotten of that entity.
        """
        if self._writer.tombstones_for((entity,), (fact.relation,), fact.value):
            raise LamLamError(f"fact {fact.id} of '{fact.entity}' was forgotten of '{entity}': forget it here too")
        number, new = self._writer.fact(entity, fact.relation, fact.value, supersedes=supersedes, exactly=exactly)
        for source in fact.sources:
            self._writer.source(number, source)
        return new

    # Mergers

    def merge(self, name: str, into: str) -> int:
        """Give all that an entity has to another one, its name as an alias too, and return how many facts moved.

        Raises `InputError` if either is missing, `LamLamError` if one of the facts was forgotten of the other.
        """
        gone, owner = (self._reader.owner(named) for named in (name, into))
        if gone.id == owner.id:
            raise InputError(f"'{name}' and '{into}' are one entity already", field="entity")
        facts = list(self._reader.facts(gone.id))
        for fact in facts:
            self._writer.end(fact.id)
            self.restate(fact, owner.name, fact.id, exactly=False)
        sql = "SELECT id, name FROM entity_alias WHERE target = ? AND until = 0 ORDER BY id"
        for number, alias in self._database.rows(sql, (gone.id,)):
            self._move_alias(number, alias, owner.id)
        self._writer.alias("entity", gone.name, owner.id)
        self._database.run("INSERT INTO meta VALUES ('merged', '1') ON CONFLICT DO NOTHING")
        return len(facts)

    def split(self, name: str) -> int:
        """Give an entity that was merged into another its facts back, as they are now, and return how many.

        Works also if the other one was merged further, or has others merged into it. Raises `InputError` if it was not
        merged.
        """
        for gone in self._reader.entities_spelled(name):
            if merger := self._mergers.of(gone):
                facts = self._mergers.given(merger)
                self._split_aliases(merger)
                return sum(self._take_back(number, merger) for number in facts)
        raise InputError(f"'{name}' was not merged into another entity", field="entity")

    def _split_aliases(self, merger: Merger) -> None:
        """Give the aliases that came with an entity back to it, and end its name as an alias."""
        for alias, row in list(self._mergers.aliases(merger)):
            if row is None:
                self._writer.alias("entity", alias, merger.gone)
            else:
                self._move_alias(row.id, alias, merger.gone)
        sql = "UPDATE entity_alias SET until = ? WHERE target = ? AND name = ? AND until = 0"
        self._database.run(sql, (self._writer.revision, merger.kept, merger.name))

    def _move_alias(self, number: int, name: str, target: int) -> None:
        self._database.run("UPDATE entity_alias SET until = ? WHERE id = ?", (self._writer.revision, number))
        self._writer.alias("entity", name, target)

    def _take_back(self, number: int, merger: Merger) -> bool:
        """State again what became of a fact that was given away; do nothing if it ended since, or was split off."""
        (given,) = self._reader.by_id([number])
        heirs = self._reader.heirs(number)
        owner = self._name(merger.kept)
        held = [fact for fact in heirs if fact.until is None]
        mine = [fact for fact in held if fact.entity == owner]
        if mine and not self._is_elsewhere(mine[-1]):
            self._give_up(mine[-1])
            self.restate(mine[-1], given.entity, mine[-1].id)
            return True
        last = heirs[-1] if heirs else given
        if held or not (last is given or self._mergers.absorbed(last)):
            return False
        self.restate(last, given.entity, last.id)
        self._drop_orphan(merger.kept, last)
        return True

    def _give_up(self, fact: Fact) -> None:
        """End a fact, unless another entity that was merged into the same one had it too."""
        if not self._is_claimed(fact):
            self._writer.end(fact.id)

    def _is_claimed(self, fact: Fact) -> bool:
        """Whether a merged entity gave away the same fact, and this one, or what it supersedes, was there already."""
        owner = self._writer.find("entity", fact.entity)
        mergers = () if owner is None else self._merged_into(owner)
        claims = [number for merger in mergers for number in self._stating(merger.gone, fact, merger.revision)]
        if not claims:
            return False
        ancestry = {fact.id for fact in self._reader.lineage(fact.id)}
        given = (claim for claim in self._reader.by_id(claims) if not self._reader.heirs(claim.id))
        return any(self._absorber(claim) in ancestry for claim in given)

    def _absorber(self, fact: Fact) -> int | None:
        """Return the fact that was there already when a merger gave this one away, or what absorbed that in its
        turn."""
        sql = """
            SELECT f.id FROM fact f JOIN relation r ON r.id = f.relation WHERE f.entity = ? AND r.name = ?
            AND f.value = ? AND f.since <= ? AND (f.until = 0 OR f.until > ?)
        """
        for row in self._mergers.rows(fact.entity):
            if row.since == fact.until:
                asked = (row.target, fact.relation, fact.value, row.since, row.since)
                for found in self._reader.by_id([row[0] for row in self._database.rows(sql, asked)]):
                    absorbed = not self._reader.heirs(found.id) and self._mergers.absorbed(found)
                    return self._absorber(found) if absorbed else found.id
        return None

    def _drop_orphan(self, owner: int, fact: Fact) -> None:
        """End the same fact of another entity if it came with a merger that is undone, and with no other."""
        for same in self._reader.by_id(self._stating(owner, fact)):
            if self._is_orphan(same, owner):
                self._give_up(same)

    def _is_orphan(self, fact: Fact, owner: int) -> bool:
        first = self._reader.lineage(fact.id)[0]
        origin = self._writer.find("entity", first.entity)
        if origin is None or origin == owner:
            return False
        return all(merger.gone != origin for merger in self._merged_into(owner))

    def _stating(self, entity: int, fact: Fact, until: int = 0) -> list[int]:
        """Return the facts of an entity that state the same and hold, or ended with a revision."""
        sql = """
            SELECT f.id FROM fact f JOIN relation r ON r.id = f.relation
            WHERE f.entity = ? AND r.name = ? AND f.value = ? AND f.until = ?
        """
        return [row[0] for row in self._database.rows(sql, (entity, fact.relation, fact.value, until))]

    def _merged_into(self, owner: int) -> list[Merger]:
        """Return what is merged into an entity; read once, since names move before facts."""
        if owner not in self._merged:
            self._merged[owner] = self._mergers.into(owner)
        return self._merged[owner]

    def _name(self, entity: int) -> str:
        return str(self._database.scalar("SELECT name FROM entity WHERE id = ?", (entity,)))


def _statement(fact: Fact) -> tuple[str, str]:
    return fact.relation, fact.value
