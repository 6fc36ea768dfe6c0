"""The steps that make a knowledge base of the rows that a `kb.builder` has written: sorted tables, then indexes.

Each is a transaction, so that a build that was killed goes on with the step in which it was.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import numpy as np

from lamlam.kb.blocking import stored_keys
from lamlam.kb.doubles import drop_doubles
from lamlam.kb.names import normalise
from lamlam.kb.schema import INDEXES, TABLES
from lamlam.kb.staging import Staging, among, in_order, insert, interleaved, unkeyed

__all__ = ["NARROW_TABLES", "REVISION", "finishing_steps"]

REVISION = 1
_FACT_TABLE = TABLES[TABLES.index("CREATE TABLE fact (") : TABLES.index(");\nCREATE TABLE value_key") + 1]
# The tables, but that of facts without the columns whose defaults every new fact has.
NARROW_TABLES = TABLES.replace(_FACT_TABLE[_FACT_TABLE.index(",\n    until ") : -2], "")
_AT_ONCE = 40_000


def finishing_steps(
    connection: sqlite3.Connection, staging: Staging, actor: str, reason: str
) -> list[Callable[[], object]]:
    """The steps, in order."""
    steps = (_point_aliases, _drop_doubles, _key_values, _key_entities, _spell, _complete_table)
    return [
        *(partial(step, connection, staging) for step in steps),
        *(partial(connection.execute, sql) for sql in INDEXES.values()),
        partial(_tell, connection, actor, reason),
    ]


def _point_aliases(connection: sqlite3.Connection, staging: Staging) -> None:
    for table in ("entity", "relation"):
        connection.execute(
            f"INSERT INTO {table}_alias (name, target, since) SELECT name, target, {REVISION} FROM staged_alias "
            f"WHERE kind = '{table}' GROUP BY target, name ORDER BY min(rowid)"
        )
    connection.execute("DROP TABLE staged_alias")


def _drop_doubles(connection: sqlite3.Connection, staging: Staging) -> None:
    drop_doubles(connection, staging)


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
    """The keys of names, then those of aliases."""
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


def _tell(connection: sqlite3.Connection, actor: str, reason: str) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    sql = "INSERT INTO revision (id, time, actor, action, reason) VALUES (?, ?, ?, 'add', ?)"
    connection.execute(sql, (REVISION, now, actor, reason))


@contextmanager
def _packed(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    """A table like `table` to fill in order and to copy from, since SQLite fills the pages of a copy wholly."""
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
