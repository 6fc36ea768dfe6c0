"""Checks that a knowledge base is sound: its file, its tables, what points where, what can be found by which key.

Everything is read once, in the order in which it lies, and little of it is held: a knowledge base of any size can be
checked.
"""

from collections.abc import Iterator
from itertools import groupby

from lamlam.batches import batches
from lamlam.kb.blocking import stored_keys, value_key
from lamlam.kb.database import Database
from lamlam.kb.names import normalise
from lamlam.kb.tombstones import Tombstones

__all__ = ["problems"]

_BATCH = 1000
_SHOULD_BE_EMPTY = {
    "facts end in a revision that does not exist": (
        "SELECT 1 FROM fact WHERE until > 0 AND until NOT IN (SELECT id FROM revision)"
    ),
    "entities have no fact": "SELECT 1 FROM entity e WHERE NOT EXISTS (SELECT 1 FROM fact f WHERE f.entity = e.id)",
    "relations have no fact": (
        "SELECT 1 FROM relation r WHERE NOT EXISTS (SELECT 1 FROM fact f WHERE f.relation = r.id)"
    ),
    "documents state nothing": (
        "SELECT 1 FROM document d WHERE NOT EXISTS (SELECT 1 FROM source s WHERE s.document = d.id)"
    ),
}


def problems(database: Database, tombstones: Tombstones) -> list[str]:
    """One sentence for each thing that is wrong; none for a sound knowledge base."""
    return [
        *_broken_file(database),
        *_left_behind(database),
        *_doubled(database),
        *_misnamed(database),
        *_misfiled(database),
        *_undead(database, tombstones),
    ]


def _broken_file(database: Database) -> Iterator[str]:
    yield from database.faults()
    if not database.erased():
        yield "an erasure was interrupted before the file was cleaned"


def _left_behind(database: Database) -> Iterator[str]:
    for problem, sql in _SHOULD_BE_EMPTY.items():
        count = database.scalar(f"SELECT count(*) FROM ({sql}) AS found")
        if count:
            yield f"{count} {problem}"


def _doubled(database: Database) -> Iterator[str]:
    """Facts that hold twice; slot by slot, as the index has them."""
    sql = "SELECT entity, relation, value FROM fact WHERE until = 0 ORDER BY entity, relation"
    slots = groupby(database.stream(sql), key=lambda row: row[:2])
    values = ([row[2] for row in rows] for _, rows in slots)
    doubled = sum(len(stated) - len(set(stated)) for stated in values)
    if doubled:
        yield f"{doubled} facts are stated twice"


def _misfiled(database: Database) -> Iterator[str]:
    """Values, and names of entities, that would not be found by their keys; and keys of nothing."""
    values = database.stream("SELECT id, value FROM fact ORDER BY id")
    names = database.stream("SELECT norm, target, alias FROM entity_spelling")
    for what, table, columns, expected in (
        ("values", "value_key", ("key", "fact"), ((value_key(value), fact) for fact, value in values)),
        (
            "names of entities",
            "entity_key",
            ("key", "target", "alias"),
            ((key, target, alias) for norm, target, alias in names for key in stored_keys(norm)),
        ),
    ):
        wanted = found = 0
        for rows in batches(expected, _BATCH):
            wanted += len(rows)
            found += _count(database, table, columns, rows)
        if found < wanted:
            yield f"{wanted - found} keys of {what} are missing"
        if database.scalar(f"SELECT count(*) FROM {table}") > found:
            yield f"{table} has keys of nothing"


def _count(database: Database, table: str, columns: tuple[str, ...], rows: list[tuple[int, ...]]) -> int:
    """How many of these rows a table has."""
    marks = ", ".join(f"({', '.join('?' * len(columns))})" for _ in rows)
    same = " AND ".join(f"t.{column} = asked.{column}" for column in columns)
    # CROSS JOIN keeps SQLite to probing the table for each row asked for: with IN it reads the whole table.
    sql = f"""
        WITH asked ({", ".join(columns)}) AS (VALUES {marks})
        SELECT count(*) FROM asked CROSS JOIN {table} t WHERE {same}
    """
    return int(database.scalar(sql, [number for row in rows for number in row]))


def _misnamed(database: Database) -> Iterator[str]:
    """Names and aliases that would not be found as they are spelled, and spellings of nothing."""
    for table in ("entity", "relation"):
        expected = database.scalar(f"SELECT (SELECT count(*) FROM {table}) + (SELECT count(*) FROM {table}_alias)")
        wrong = expected - sum(_spelled(database, table))
        if wrong:
            yield f"{wrong} names or aliases of {table} cannot be found by their spelling"
        if database.scalar(f"SELECT count(*) FROM {table}_spelling") > expected:
            yield f"{table}_spelling has spellings of nothing"


def _spelled(database: Database, table: str) -> Iterator[bool]:
    """For each spelling whether it is that of its name or alias."""
    sql = f"""
        SELECT s.norm, coalesce(a.name, t.name) FROM {table}_spelling s JOIN {table} t ON t.id = s.target
        LEFT JOIN {table}_alias a ON a.id = s.alias AND s.alias > 0
    """
    return (normalise(name) == norm for norm, name in database.stream(sql))


def _undead(database: Database, tombstones: Tombstones) -> Iterator[str]:
    """Facts that were forgotten and are there all the same."""
    if not tombstones.any():
        return
    sql = """
        SELECT f.id, e.name, r.name, f.value FROM fact f JOIN entity e ON e.id = f.entity
        JOIN relation r ON r.id = f.relation
    """
    facts = database.stream(sql)
    for batch in batches(facts, _BATCH):
        digests = {number: tombstones.propositions(*proposition) for number, *proposition in batch}
        held = tombstones.held_of(digest for each in digests.values() for digest in each)
        yield from (f"fact {number} was forgotten" for number, each in digests.items() if not held.isdisjoint(each))
