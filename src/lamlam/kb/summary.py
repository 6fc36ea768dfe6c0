"""Summaries of a knowledge base: counts, a digest of the content, and the log of writes."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from lamlam.kb.database import Database
from lamlam.kb.reader import FactReader

__all__ = [
    "LogEntry",
    "Revision",
    "Stats",
    "content_digest",
    "count_relations",
    "gather_stats",
    "read_entries",
    "read_log",
]

_FREQUENT = 10
_BITS = 256
_LOOKED_AT = 500
_LINKING = ("alias", "inverse")


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts. `facts` hold now, `past` ones did; names count whether or not their facts still hold.

    `frequent` has the relations with the most facts, past ones too, and how many.
    """

    facts: int
    past: int
    entities: int
    relations: int
    documents: int
    sources: int
    aliases: int
    revisions: int
    tombstones: int
    bytes: int
    frequent: tuple[tuple[str, int], ...]


def gather_stats(database: Database) -> Stats:
    """Count the rows of each table, and the bytes of the file."""

    def count(table: str, where: str = "") -> int:
        return int(database.scalar(f"SELECT count(*) FROM {table} {where}"))

    past = count("fact", "WHERE until > 0")
    frequent = database.rows(f"""
        SELECT r.name, n.facts FROM (
            SELECT relation, count(*) AS facts FROM fact
            GROUP BY relation ORDER BY facts DESC, relation LIMIT {_FREQUENT}
        ) n JOIN relation r ON r.id = n.relation ORDER BY n.facts DESC, r.id
    """)
    return Stats(
        facts=count("fact") - past,
        past=past,
        entities=count("entity"),
        relations=count("relation"),
        documents=count("document"),
        sources=count("source"),
        aliases=count("entity_alias") + count("relation_alias"),
        revisions=count("revision"),
        tombstones=count("tombstone"),
        bytes=database.size(),
        frequent=tuple((name, int(facts)) for name, facts in frequent),
    )


def count_relations(database: Database) -> list[tuple[str, int]]:
    """Return every relation in which facts hold, and how many; the most frequent first.

    Two passes over indexes, which read no fact: all facts by relation, and those of them that ended.
    """
    with database.snapshot():
        names = dict(database.rows("SELECT id, name FROM relation"))
        counts = dict(database.rows("SELECT relation, count(*) FROM fact GROUP BY relation"))
        # The plus keeps SQLite to the few that ended: it would look up every fact by relation.
        past = dict(database.rows("SELECT +relation, count(*) FROM fact WHERE until > 0 GROUP BY +relation"))
    held = [(name, counts.get(number, 0) - past.get(number, 0)) for number, name in names.items()]
    return sorted(((name, count) for name, count in held if count), key=lambda row: (-row[1], row[0]))


def content_digest(reader: FactReader) -> str:
    """Return the sum, modulo 2**256, of the BLAKE2b digests of all facts, sources and aliases, as 64 hexadecimal
    digits.

    A sum does not depend on order and needs no sorting, so the digest is one pass over any number of facts.
    """
    total = 0
    for part in _parts(reader):
        text = json.dumps(part, ensure_ascii=True, separators=(",", ":")).encode()
        total += int.from_bytes(hashlib.blake2b(text, digest_size=_BITS // 8).digest())
    return f"{total % 2**_BITS:064x}"


def _parts(reader: FactReader) -> Iterable[list[str | int | None]]:
    for fact in reader.facts():
        proposition = [fact.entity, fact.relation, fact.value]
        yield ["fact", *proposition]
        for source in fact.sources:
            yield ["source", *proposition, source.document, source.start, source.end]
    for kind, name, target in reader.aliases():
        yield ["alias", kind, name, target]


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
class LogEntry(Revision):
    """A revision, and whether it can probably be undone: it forgot nothing, and its facts still hold.

    Names that it gave are not looked at, so undoing may be refused all the same.
    """

    undoable: bool


def read_log(database: Database) -> list[Revision]:
    """Return all revisions, the oldest first."""
    began = {row[0]: row[1] for row in database.rows("SELECT since, count(*) FROM fact GROUP BY since")}
    ended = {row[0]: row[1] for row in database.rows("SELECT until, count(*) FROM fact WHERE until > 0 GROUP BY until")}
    rows = database.rows("SELECT id, time, actor, action, reason FROM revision ORDER BY id")
    return [Revision(*row, *(counts.get(row[0], 0) for counts in (began, ended))) for row in rows]


def read_entries(database: Database, before: int, limit: int) -> list[LogEntry]:
    """Return the last `limit` revisions with numbers under `before`, the newest first.

    Facts that began and ended with these are found by their ids, which follow the order of revisions.
    """
    sql = "SELECT id, time, actor, action, reason FROM revision WHERE id < ? ORDER BY id DESC LIMIT ?"
    rows = database.rows(sql, (before, limit))
    if not rows:
        return []
    sql = "SELECT until, count(*) FROM fact WHERE until > 0 AND until BETWEEN ? AND ? GROUP BY until"
    ended = {row[0]: row[1] for row in database.rows(sql, (rows[-1][0], rows[0][0]))}
    reader, entries, first = FactReader(database), list[LogEntry](), 1
    for revision, time, actor, action, reason in reversed(rows):
        first = reader.first_since(revision, first)
        began, changed = _began(database, revision, first, reader.first_since(revision + 1, first))
        moved = began + ended.get(revision, 0)
        undoable = action != "forget" and (moved > 0 or action in _LINKING)
        undoable = undoable and not (changed and _is_changed(reader, revision))
        if undoable and not began and action not in _LINKING:
            undoable = not _is_restored(database, reader, revision)
        entries.append(LogEntry(revision, time, actor, action, reason, began, ended.get(revision, 0), undoable))
    return entries[::-1]


def _is_changed(reader: FactReader, revision: int) -> bool:
    """Whether one of the first facts that began with a revision is not stated any more, under whatever id."""
    began = islice(reader.began(revision), _LOOKED_AT)
    return any(fact.until != revision and reader.standing(fact) is None for fact in began)


def _is_restored(database: Database, reader: FactReader, revision: int) -> bool:
    """Whether the first facts that ended with a revision are all stated again: then there is nothing to undo."""
    sql = "SELECT id FROM fact WHERE until = ? AND since < ? ORDER BY id LIMIT ?"
    ended = [row[0] for row in database.rows(sql, (revision, revision, _LOOKED_AT))]
    return bool(ended) and all(reader.standing(fact) is not None for fact in reader.by_id(ended))


def _began(database: Database, revision: int, first: int, stop: int) -> tuple[int, int]:
    """Count the facts with ids in [first, stop) that began with a revision, and those of them that ended later."""
    if first == stop:
        return 0, 0
    sql = """
        SELECT count(*), count(CASE WHEN until > 0 AND until <> ? THEN 1 END) FROM fact WHERE id >= ? AND id < ?
    """
    began, changed = database.rows(sql, (revision, first, stop))[0]
    return int(began), int(changed)
