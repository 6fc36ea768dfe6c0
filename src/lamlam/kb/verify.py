"""Check a knowledge base: that it is sound, and which of its entities may be several of one name.

Everything is read once, in order, and little of it is held, so that a knowledge base of any size can be checked.
Namesakes become one entity where a file tells entities apart by name alone, as CSV does; two times of birth or death
that cannot both be right give them away.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, groupby, islice
from operator import itemgetter

from lamlam.batches import batches
from lamlam.kb.database import Database
from lamlam.kb.names import normalise, stored_keys, value_key
from lamlam.kb.remains import Tombstones

__all__ = ["Namesakes", "find_namesakes", "problems"]

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
_ONCE = {
    "birth": ("birth date", "birthdate", "date of birth", "birth year", "year of birth", "birthday", "born", "born on"),
    "death": ("death date", "deathdate", "date of death", "death year", "year of death", "died", "died on"),
}
_MOST = 50  # facts of an entity that are compared
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"
_DATES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?P<year>\d{4})-(?P<number>\d\d)-(?P<day>\d\d)\b",
        rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\.? (?:of )?{_MONTH},? (?P<year>\d{{1,4}})(?P<era> BC)?\b",
        rf"\b{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{1,4}})(?P<era> BC)?\b",
        rf"\b{_MONTH},? (?P<year>\d{{1,4}})(?P<era> BC)?\b",
        r"\b(?P<year>\d{3,4})(?P<era> BC)?\b",
    )
]
_Date = tuple[int, int | None, int | None]


def problems(database: Database, tombstones: Tombstones) -> list[str]:
    """Return one sentence for each thing that is wrong; none for a sound knowledge base."""
    return [
        *database.faults(),
        *(() if database.erased() else ("an erasure was interrupted before the file was cleaned",)),
        *_left_behind(database),
        *_doubled(database),
        *_misnamed(database),
        *_misfiled(database),
        *_back_from_forgetting(database, tombstones),
    ]


def _left_behind(database: Database) -> Iterator[str]:
    for problem, sql in _SHOULD_BE_EMPTY.items():
        count = database.scalar(f"SELECT count(*) FROM ({sql}) AS found")
        if count:
            yield f"{count} {problem}"


def _doubled(database: Database) -> Iterator[str]:
    """Report facts that hold twice; slot by slot, as the index has them."""
    sql = "SELECT entity, relation, value FROM fact WHERE until = 0 ORDER BY entity, relation"
    slots = groupby(database.stream(sql), key=lambda row: row[:2])
    values = ([row[2] for row in rows] for _, rows in slots)
    doubled = sum(len(stated) - len(set(stated)) for stated in values)
    if doubled:
        yield f"{doubled} facts are stated twice"


def _misfiled(database: Database) -> Iterator[str]:
    """Report values and names of entities that their keys would not find, and keys of nothing."""
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
    """Return how many of these rows a table has."""
    marks = ", ".join(f"({', '.join('?' * len(columns))})" for _ in rows)
    same = " AND ".join(f"t.{column} = asked.{column}" for column in columns)
    # CROSS JOIN keeps SQLite to probing the table for each row asked for: with IN it reads the whole table.
    sql = f"""
        WITH asked ({", ".join(columns)}) AS (VALUES {marks})
        SELECT count(*) FROM asked CROSS JOIN {table} t WHERE {same}
    """
    return int(database.scalar(sql, [number for row in rows for number in row]))


def _misnamed(database: Database) -> Iterator[str]:
    """Report names and aliases that their spelling would not find, and spellings of nothing."""
    for table in ("entity", "relation"):
        expected = database.scalar(f"SELECT (SELECT count(*) FROM {table}) + (SELECT count(*) FROM {table}_alias)")
        wrong = expected - sum(_spelled(database, table))
        if wrong:
            yield f"{wrong} names or aliases of {table} cannot be found by their spelling"
        if database.scalar(f"SELECT count(*) FROM {table}_spelling") > expected:
            yield f"{table}_spelling has spellings of nothing"


def _spelled(database: Database, table: str) -> Iterator[bool]:
    """Yield for each spelling whether it is that of its name or alias."""
    sql = f"""
        SELECT s.norm, coalesce(a.name, t.name) FROM {table}_spelling s JOIN {table} t ON t.id = s.target
        LEFT JOIN {table}_alias a ON a.id = s.alias AND s.alias > 0
    """
    return (normalise(name) == norm for norm, name in database.stream(sql))


def _back_from_forgetting(database: Database, tombstones: Tombstones) -> Iterator[str]:
    """Report facts that were forgotten and are there all the same."""
    if not tombstones.any():
        return
    sql = """
        SELECT f.id, e.name, r.name, f.value FROM fact f JOIN entity e ON e.id = f.entity
        JOIN relation r ON r.id = f.relation
    """
    facts = database.stream(sql)
    for batch in batches(facts, _BATCH):
        digests = {number: tombstones.propositions(*proposition) for number, *proposition in batch}
        held = tombstones.held_of(digest for forms in digests.values() for digest in forms)
        yield from (f"fact {number} was forgotten" for number, forms in digests.items() if not held.isdisjoint(forms))


@dataclass(frozen=True, slots=True)
class Namesakes:
    """An entity with times that contradict each other, and one relation that states them."""

    entity: str
    relation: str
    values: tuple[str, ...]


def find_namesakes(database: Database, since: int) -> tuple[Namesakes, ...]:
    """Return entities that gained, after revision `since`, a time by which they may be several of one name."""
    return tuple(found for names in _ONCE.values() for found in _contradictions(database, names, since))


def _contradictions(database: Database, names: Iterable[str], since: int) -> Iterable[Namesakes]:
    asked = tuple(names)
    marks = ", ".join("?" * len(asked))
    relations = [
        target for (target,) in database.rows(f"SELECT target FROM relation_spelling WHERE norm IN ({marks})", asked)
    ]
    if not relations:
        return
    chosen = ", ".join(map(str, relations))
    rows = database.rows(
        "SELECT f.entity, e.name, r.name, f.value FROM fact f "
        "JOIN entity e ON e.id = f.entity JOIN relation r ON r.id = f.relation "
        f"WHERE f.relation IN ({chosen}) AND f.until = 0 AND f.entity IN ("
        f"SELECT entity FROM fact WHERE relation IN ({chosen}) AND until = 0 "
        "GROUP BY entity HAVING count(*) > 1 AND max(since) > ?) ORDER BY f.entity, f.id",
        (since,),
    )
    for _, group in groupby(rows, itemgetter(0)):
        facts = list(islice(group, _MOST))
        if any(_differ(_date(a), _date(b)) for a, b in combinations((fact[3] for fact in facts), 2)):
            yield Namesakes(facts[0][1], facts[0][2], tuple(dict.fromkeys(fact[3] for fact in facts)))


def _date(text: str) -> _Date | None:
    """Return the date that a text begins with or contains: year, and month and day if they are given."""
    found = next((match for pattern in _DATES if (match := pattern.search(text))), None)
    if found is None:
        return None
    parts = found.groupdict()
    year = int(parts["year"]) * (-1 if parts.get("era") else 1)
    month = _MONTHS.index(parts["month"].lower()) + 1 if parts.get("month") else int(parts.get("number") or 0)
    return year, month or None, int(parts["day"]) if parts.get("day") else None


def _differ(a: _Date | None, b: _Date | None) -> bool:
    """Whether both cannot be right; a less precise date contradicts another only in what it says."""
    if a is None or b is None:
        return False
    return any(x != y for x, y in zip(a, b, strict=True) if x is not None and y is not None)
