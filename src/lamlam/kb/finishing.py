"""The steps that turn the rows of a `kb.builder` into a knowledge base: drop doubles, sort tables, make indexes.

Each step is a transaction, so that a build that was killed continues with the step in which it was. Doubles are found
by sorting the digests of propositions; where two digests are equal, the rows themselves are compared.
"""

import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import numpy as np

from lamlam.kb.names import normalise, stored_keys
from lamlam.kb.schema import INDEXES, TABLES
from lamlam.kb.staging import Staging, among, in_order, insert, interleaved, unkeyed

__all__ = ["NARROW_TABLES", "REVISION", "finishing_steps", "proposition_digests"]

REVISION = 1
_FACT_TABLE = TABLES[TABLES.index("CREATE TABLE fact (") : TABLES.index(");\nCREATE TABLE value_key") + 1]
# The tables, but that of facts without the columns whose defaults every new fact has.
NARROW_TABLES = TABLES.replace(_FACT_TABLE[_FACT_TABLE.index(",\n    until ") : -2], "")
_AT_ONCE = 40_000
_KIND = "proposition"
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of SplitMix64
_COMPARED_AT_ONCE = 10_000


def finishing_steps(
    connection: sqlite3.Connection, staging: Staging, actor: str, reason: str
) -> list[Callable[[], object]]:
    """Return the steps, in order."""
    steps = (_point_aliases, _drop_doubles, _key_values, _key_entities, _spell, _complete_table)
    return [
        *(partial(step, connection, staging) for step in steps),
        *(partial(connection.execute, sql) for sql in INDEXES.values()),
        partial(_log_revision, connection, actor, reason),
    ]


def _point_aliases(connection: sqlite3.Connection, staging: Staging) -> None:
    for table in ("entity", "relation"):
        connection.execute(
            f"INSERT INTO {table}_alias (name, target, since) SELECT name, target, {REVISION} FROM staged_alias "
            f"WHERE kind = '{table}' GROUP BY target, name ORDER BY min(rowid)"
        )
    connection.execute("DROP TABLE staged_alias")


def _key_values(connection: sqlite3.Connection, staging: Staging) -> None:
    ids = connection.execute("SELECT id FROM double ORDER BY id")
    doubles = np.fromiter((row[0] for row in ids), np.int64)
    with _packed(connection, "value_key") as table:
        for part in in_order(lambda: staging.read_keyed("value")):
            keys, facts = unkeyed(part)
            kept = ~among(doubles, facts)
            _insert_keys(connection, table, keys[kept], facts[kept])
    connection.execute("DROP TABLE double")
    staging.drop("value")


def _key_entities(connection: sqlite3.Connection, staging: Staging) -> None:
    """File the keys of names, then those of aliases."""
    aliases = connection.execute("SELECT id, target, name FROM entity_alias")
    of_aliases = ((key, target, number) for number, target, name in aliases for key in stored_keys(normalise(name)))
    with _packed(connection, "entity_key") as table:
        for part in in_order(lambda: staging.read("entity_key", np.uint64)):
            _insert_keys(connection, table, *unkeyed(part), ",0")
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", of_aliases)
    staging.drop("entity_key")


def _spell(connection: sqlite3.Connection, staging: Staging) -> None:
    connection.create_function("normalise", 1, normalise, deterministic=True)
    for kind in ("entity", "relation"):
        with _packed(connection, f"{kind}_spelling") as table:
            connection.execute(
                f"INSERT INTO {table} SELECT normalise(name), id, 0 FROM {kind} UNION ALL "
                f"SELECT normalise(name), target, id FROM {kind}_alias ORDER BY 1, 2, 3"
            )


def _complete_table(connection: sqlite3.Connection, staging: Staging) -> None:
    """Give the table of facts its last columns: rows without them have the defaults, and are two bytes shorter."""
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'fact'", (_FACT_TABLE,))
    connection.execute("PRAGMA writable_schema = RESET")


def _log_revision(connection: sqlite3.Connection, actor: str, reason: str) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    sql = "INSERT INTO revision (id, time, actor, action, reason) VALUES (?, ?, ?, 'add', ?)"
    connection.execute(sql, (REVISION, now, actor, reason))


@contextmanager
def _packed(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    """Yield a table like `table` to fill in order and copy from, since SQLite fills the pages of a copy completely."""
    run = connection.execute
    (sql,) = run("SELECT sql FROM main.sqlite_master WHERE name = ?", (table,)).fetchone()
    run(sql.replace(f"CREATE TABLE {table}", f"CREATE TABLE packing.{table}"))
    yield f"packing.{table}"
    run(f"INSERT INTO main.{table} SELECT * FROM packing.{table}")
    run(f"DROP TABLE packing.{table}")


def _insert_keys(
    connection: sqlite3.Connection, table: str, keys: np.ndarray, numbers: np.ndarray, constants: str = ""
) -> None:
    for start in range(0, len(keys), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        insert(connection, table, 2, interleaved(keys[part].tolist(), numbers[part].tolist()), constants)


def proposition_digests(entities: list[int], relations: list[int], keys: np.ndarray) -> np.ndarray:
    """Return digests of numbers of names and keys of values, [N] int32; [N] uint64."""
    mixed = (np.array(entities, np.uint64) << np.uint64(32)) | np.array(relations, np.uint64)
    mixed = mixed * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(29))) + keys.view(np.uint32).astype(np.uint64)
    mixed = mixed * _MIX[1]
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _MIX[2]
    return mixed ^ (mixed >> np.uint64(29))


def _drop_doubles(connection: sqlite3.Connection, staging: Staging) -> None:
    """Delete the facts that were given again, after their sources have gone to the first of them; list them in
    `double`."""
    run = connection.execute
    for doubles in _doubles(connection, staging):
        connection.executemany("INSERT INTO double VALUES (?, ?)", doubles)
    staging.drop(_KIND)
    if not run("SELECT 1 FROM double LIMIT 1").fetchone():
        return
    run("UPDATE source SET fact = (SELECT kept FROM double WHERE id = fact) WHERE fact IN (SELECT id FROM double)")
    run("""
        DELETE FROM source WHERE id IN (SELECT id FROM (
            SELECT id, row_number() OVER (PARTITION BY fact, document, start, "end" ORDER BY id) AS nth
            FROM source WHERE fact IN (SELECT kept FROM double)
        ) WHERE nth > 1)
    """)
    run("DELETE FROM fact WHERE id IN (SELECT id FROM double)")


def _doubles(connection: sqlite3.Connection, staging: Staging) -> Iterator[list[tuple[int, int]]]:
    """Yield (fact, the first fact that states the same), in parts."""
    for digests in in_order(lambda: staging.read(_KIND, np.uint64)):
        again = np.unique(digests[1:][digests[1:] == digests[:-1]])
        for numbers in _sharing(again, staging) if len(again) else ():
            yield _same(connection, numbers)


def _sharing(again: np.ndarray, staging: Staging) -> Iterator[list[int]]:
    """Yield the facts that have one of these sorted digests, in parts; those of one digest in one part."""
    pairs, first = [], 1
    for piece in staging.read(_KIND, np.uint64):
        places = np.flatnonzero(among(again, piece))
        pairs.append(np.stack([piece[places], (places + first).astype(np.uint64)]))
        first += len(piece)
    digests, facts = np.concatenate(pairs, axis=1)
    order = np.lexsort((facts, digests))
    digests, facts = digests[order], facts[order]
    ends = [*(np.flatnonzero(digests[1:] != digests[:-1]) + 1).tolist(), len(facts)]
    start = 0
    while start < len(facts):
        end = ends[min(bisect_left(ends, start + _COMPARED_AT_ONCE), len(ends) - 1)]
        yield facts[start:end].tolist()
        start = end


def _same(connection: sqlite3.Connection, numbers: list[int]) -> list[tuple[int, int]]:
    kept: dict[tuple, int] = {}
    doubles = []
    for number in sorted(numbers):
        sql = "SELECT entity, relation, value FROM fact WHERE id = ?"
        first = kept.setdefault(connection.execute(sql, (number,)).fetchone(), number)
        if first != number:
            doubles.append((number, first))
    return doubles
