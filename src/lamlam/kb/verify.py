"""Checks that a knowledge base is sound."""

from collections.abc import Iterator
from itertools import islice

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
    "facts are stated twice": (
        "SELECT 1 FROM fact WHERE until = 0 GROUP BY entity, relation, value HAVING count(*) > 1"
    ),
    "documents state nothing": (
        "SELECT 1 FROM document d WHERE NOT EXISTS (SELECT 1 FROM source s WHERE s.document = d.id)"
    ),
}


def problems(database: Database, tombstones: Tombstones) -> list[str]:
    """One sentence for each thing that is wrong; none for a sound knowledge base."""
    return [*_broken_file(database), *_left_behind(database), *_misnamed(database), *_undead(database, tombstones)]


def _broken_file(database: Database) -> Iterator[str]:
    yield from database.faults()
    if not database.erased():
        yield "an erasure was interrupted before the file was cleaned"


def _left_behind(database: Database) -> Iterator[str]:
    for problem, sql in _SHOULD_BE_EMPTY.items():
        count = database.scalar(f"SELECT count(*) FROM ({sql}) AS found")
        if count:
            yield f"{count} {problem}"


def _misnamed(database: Database) -> Iterator[str]:
    """Names and aliases that would not be found as they are spelled, and spellings of nothing."""
    for table in ("entity", "relation"):
        expected = database.scalar(f"SELECT (SELECT count(*) FROM {table}) + (SELECT count(*) FROM {table}_alias)")
        wrong = expected - sum(_spelled(database, table))
        if wrong:
            yield f"{wrong} names or aliases of {table} cannot be found by their spelling"
        if database.scalar(f"SELECT count(*) FROM {table}_spelling") > expected:
            yield f"{table}_spelling has spellings of nothing"
    facts, keyed = (database.scalar(f"SELECT count(*) FROM {table}") for table in ("fact", "value_key"))
    if facts != keyed:
        yield f"the index of values has {keyed} facts, not {facts}"


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
    while batch := list(islice(facts, _BATCH)):
        digests = {number: tombstones.propositions(*proposition) for number, *proposition in batch}
        held = tombstones.held_of(digest for each in digests.values() for digest in each)
        yield from (f"fact {number} was forgotten" for number, each in digests.items() if not held.isdisjoint(each))
