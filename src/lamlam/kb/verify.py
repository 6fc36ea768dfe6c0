"""Checks that a knowledge base is sound."""

from collections.abc import Iterator

from lamlam.kb.database import Database
from lamlam.kb.names import normalise
from lamlam.kb.tombstones import Tombstones

__all__ = ["problems"]

_SHOULD_BE_EMPTY = {
    "facts end in a revision that does not exist": (
        "SELECT 1 FROM fact WHERE until > 0 AND until NOT IN (SELECT id FROM revision)"
    ),
    "entities have no fact": "SELECT 1 FROM entity e WHERE NOT EXISTS (SELECT 1 FROM fact f WHERE f.entity = e.id)",
    "relations have no fact": (
        "SELECT 1 FROM relation r WHERE NOT EXISTS (SELECT 1 FROM fact f WHERE f.relation = r.id)"
    ),
    "values have no fact": "SELECT 1 FROM value v WHERE NOT EXISTS (SELECT 1 FROM fact f WHERE f.value = v.id)",
    "documents state nothing": (
        "SELECT 1 FROM document d WHERE NOT EXISTS (SELECT 1 FROM source s WHERE s.document = d.id)"
    ),
}


def problems(database: Database, tombstones: Tombstones) -> list[str]:
    """One sentence for each thing that is wrong; none for a sound knowledge base."""
    return [*_broken_file(database), *_left_behind(database), *_misnamed(database), *_undead(database, tombstones)]


def _broken_file(database: Database) -> Iterator[str]:
    yield from (f"the file is damaged: {row[0]}" for row in database.rows("PRAGMA integrity_check") if row[0] != "ok")
    broken = database.rows("PRAGMA foreign_key_check")
    if broken:
        yield f"{len(broken)} rows point at rows that do not exist"
    if database.scalar("SELECT count(*) FROM meta WHERE key = 'erasing'"):
        yield "an erasure was interrupted before the file was rewritten"


def _left_behind(database: Database) -> Iterator[str]:
    for problem, sql in _SHOULD_BE_EMPTY.items():
        count = database.scalar(f"SELECT count(*) FROM ({sql})")
        if count:
            yield f"{count} {problem}"


def _misnamed(database: Database) -> Iterator[str]:
    for table in ("entity", "relation", "entity_alias", "relation_alias"):
        rows = database.rows(f"SELECT name, norm FROM {table}")
        wrong = sum(normalise(name) != norm for name, norm in rows)
        if wrong:
            yield f"{wrong} rows of {table} have another normalised name than their name gives"
    indexed = database.scalar("SELECT count(*) FROM entity_trigram_docsize")
    named = database.scalar("SELECT (SELECT count(*) FROM entity) + (SELECT count(*) FROM entity_alias)")
    if indexed != named:
        yield f"the trigram index has {indexed} names, not {named}"


def _undead(database: Database, tombstones: Tombstones) -> Iterator[str]:
    """Facts that were forgotten and are there all the same."""
    if not tombstones.any():
        return
    sql = """
        SELECT f.id, e.name, r.name, v.name FROM fact f JOIN entity e ON e.id = f.entity
        JOIN relation r ON r.id = f.relation JOIN value v ON v.id = f.value
    """
    for number, *proposition in database.rows(sql):
        if tombstones.hold(*tombstones.propositions(*proposition)):
            yield f"fact {number} was forgotten"
