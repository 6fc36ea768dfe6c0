"""The log of a knowledge base: one entry for each write."""

from dataclasses import dataclass
from itertools import islice

from lamlam.kb.database import Database
from lamlam.kb.reader import Reader

__all__ = ["Entry", "Revision", "read_entries", "read_log"]

_LOOKED_AT = 500
_LINKING = ("alias", "inverse")


@dataclass(frozen=True, slots=True)
class Revision:
    """One write: when (ISO 8601, UTC), by whom, what and why, and how many facts began and ended with it.

    Facts that were forgotten since do not count.
    """

    id: int
    time: str
    actor: str
    action: str
    reason: str
    began: int
    ended: int


@dataclass(frozen=True, slots=True)
class Entry(Revision):
    """A revision, and whether it seems that it can be undone: it forgot nothing, and its facts still hold.

    Names that it gave are not looked at, so that undoing may be refused all the same.
    """

    undoable: bool


def read_log(database: Database) -> list[Revision]:
    """All revisions, the oldest first."""
    began = {row[0]: row[1] for row in database.rows("SELECT since, count(*) FROM fact GROUP BY since")}
    ended = {row[0]: row[1] for row in database.rows("SELECT until, count(*) FROM fact WHERE until > 0 GROUP BY until")}
    rows = database.rows("SELECT id, time, actor, action, reason FROM revision ORDER BY id")
    return [Revision(*row, *(counts.get(row[0], 0) for counts in (began, ended))) for row in rows]


def read_entries(database: Database, before: int, limit: int) -> list[Entry]:
    """The last `limit` revisions of numbers under `before`, the newest first.

    What is counted is what began and ended with these, found by ids, which follow the order of revisions.
    """
    sql = "SELECT id, time, actor, action, reason FROM revision WHERE id < ? ORDER BY id DESC LIMIT ?"
    rows = database.rows(sql, (before, limit))
    if not rows:
        return []
    sql = "SELECT until, count(*) FROM fact WHERE until > 0 AND until BETWEEN ? AND ? GROUP BY until"
    ended = {row[0]: row[1] for row in database.rows(sql, (rows[-1][0], rows[0][0]))}
    reader, entries, first = Reader(database), list[Entry](), 1
    for revision, time, actor, action, reason in reversed(rows):
        first = reader.first_since(revision, first)
        began, changed = _began(database, revision, first, reader.first_since(revision + 1, first))
        moved = began + ended.get(revision, 0)
        undoable = action != "forget" and (moved > 0 or action in _LINKING)
        undoable = undoable and not (changed and _is_changed(reader, revision))
        if undoable and not began and action not in _LINKING:
            undoable = not _is_restored(database, reader, revision)
        entries.append(Entry(revision, time, actor, action, reason, began, ended.get(revision, 0), undoable))
    return entries[::-1]


def _is_changed(reader: Reader, revision: int) -> bool:
    """Whether one of the first facts that began with a revision is not said any more, under whatever id."""
    began = islice(reader.began(revision), _LOOKED_AT)
    return any(fact.until != revision and reader.standing(fact) is None for fact in began)


def _is_restored(database: Database, reader: Reader, revision: int) -> bool:
    """Whether the first facts that ended with a revision are all said again: then there is nothing to undo."""
    sql = "SELECT id FROM fact WHERE until = ? AND since < ? ORDER BY id LIMIT ?"
    ended = [row[0] for row in database.rows(sql, (revision, revision, _LOOKED_AT))]
    return bool(ended) and all(reader.standing(fact) is not None for fact in reader.by_id(ended))


def _began(database: Database, revision: int, first: int, stop: int) -> tuple[int, int]:
    """How many facts began with a revision, of ids from `first` up to, not including, `stop`; how many ended later."""
    if first == stop:
        return 0, 0
    sql = """
        SELECT count(*), count(CASE WHEN until > 0 AND until <> ? THEN 1 END) FROM fact WHERE id >= ? AND id < ?
    """
    began, changed = database.rows(sql, (revision, first, stop))[0]
    return int(began), int(changed)
