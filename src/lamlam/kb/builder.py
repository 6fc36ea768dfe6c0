"""Build the file of a knowledge base from many facts: every row written once, every index made once, sorted.

The result is what `kb.writer` would have written fact by fact under one revision. `Builder` works on a file of its own,
whose transactions contain rows and progress alike: killed at any point, it continues from the last one. Names get
numbers as they come; keys of values and of names wait in `kb.staging` until `kb.finishing` can sort them. Who reads the
facts, and how the file becomes a knowledge base, is left to `kb.bulk`.
"""

import sqlite3
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lamlam.kb.finishing import NARROW_TABLES, REVISION, finishing_steps, proposition_digests
from lamlam.kb.names import normalise, stored_keys, value_key
from lamlam.kb.schema import APPLICATION_ID, VERSION
from lamlam.kb.staging import Dictionary, Staging, insert, interleaved, keyed

__all__ = ["Builder", "FactBatch", "discard"]

_COMMIT_ROWS = 500_000
_FEW_KIB, _MANY_KIB = 16 * 1024, 64 * 1024  # of cache: while rows are appended, while they are sorted
_AT_ONCE = 40_000
_PRAGMAS = ("journal_mode = TRUNCATE", "synchronous = NORMAL", "temp_store = FILE", "threads = 2")
_WAIT_SECONDS = 60.0
_OWN_TABLES = """
CREATE TABLE progress (identity TEXT NOT NULL, rows INTEGER NOT NULL, step INTEGER NOT NULL);
CREATE TABLE staged_alias (kind TEXT NOT NULL, target INTEGER NOT NULL, name TEXT NOT NULL);
CREATE TABLE double (id INTEGER PRIMARY KEY, kept INTEGER NOT NULL);
"""


class FactBatch(NamedTuple):
    """Facts as columns. `sources`: (place, document, start, end); `aliases`: (place, "entity" or "relation", name)."""

    entities: list[str]
    relations: list[str]
    values: list[str]
    sources: list[tuple[int, str, int | None, int | None]]
    aliases: list[tuple[int, str, str]]


class Builder:
    """Call `add` with batches from the fact after `rows` on, then `finish`."""

    def __init__(self, path: Path, identity: str) -> None:
        """Continue with the file at `path` if it was begun for the same `identity`, or start over."""
        self._connection = _opened(path)
        begun = _progress(self._connection)
        if begun is None or begun[0] != identity:
            self._connection.close()
            discard(path)
            self._connection, begun = _opened(path), (identity, 0, 0)
            self._make(identity)
        _, self.rows, self._step = begun
        self._staging = Staging(self._connection)
        self._numbers = {table: Dictionary() for table in ("entity", "relation", "document")}
        if self._step == 0:
            self._learn()
        self._uncommitted = 0

    def close(self) -> None:
        """Close; what was not committed is lost, as when the process is killed."""
        self._connection.close()

    def add(self, batch: FactBatch) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")
        entities, relations = self._named("entity", batch.entities), self._named("relation", batch.relations)
        keys = np.fromiter(map(value_key, batch.values), np.int32, len(batch.values))
        numbers = list(range(self.rows + 1, self.rows + len(keys) + 1))
        flat = interleaved(numbers, entities, relations, batch.values)
        insert(self._connection, "fact (id, entity, relation, value, since)", 4, flat, f",{REVISION}")
        self._staging.append("value", keys)
        self._staging.append("proposition", proposition_digests(entities, relations, keys))
        self._add_sources(batch)
        owners = {"entity": entities, "relation": relations}
        rows = [(table, owners[table][place], name) for place, table, name in batch.aliases]
        self._connection.executemany("INSERT INTO staged_alias VALUES (?, ?, ?)", rows)
        self.rows += len(keys)
        self._uncommitted += len(keys)
        if self._uncommitted >= _COMMIT_ROWS:
            self.commit()

    def commit(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("UPDATE progress SET rows = ?", (self.rows,))
            self._connection.execute("COMMIT")
        self._uncommitted = 0

    def finish(self, actor: str, reason: str) -> tuple[int, int]:
        """Sort, index, and make it a knowledge base; return how many facts there are, and how many were given again."""
        self.commit()
        self._numbers.clear()
        self._connection.execute(f"PRAGMA cache_size = -{_MANY_KIB}")
        steps = finishing_steps(self._connection, self._staging, actor, reason)
        for number, step in enumerate(steps, 1):
            if number > self._step:
                self._connection.execute("BEGIN")
                step()
                self._connection.execute("UPDATE progress SET step = ?", (number,))
                self._connection.execute("COMMIT")
        facts = self._connection.execute("SELECT count(*) FROM fact").fetchone()[0]
        self._seal()
        return facts, self.rows - facts

    # Adding

    def _named(self, table: str, names: list[str]) -> list[int]:
        """Return the numbers of names, which are stored when they are new."""
        dictionary = self._numbers[table]
        first = dictionary.size + 1
        numbers, places = dictionary.encode(names)
        new = [names[place] for place in places]
        fresh = range(first, first + len(new))
        insert(self._connection, f"{table} (id, name)", 2, interleaved(list(fresh), new))
        if table == "entity":
            self._stage_keys(new, fresh)
        return numbers

    def _stage_keys(self, names: list[str], numbers: range) -> None:
        keys: list[int] = []
        owners: list[int] = []
        for name, number in zip(names, numbers, strict=True):
            found = stored_keys(normalise(name))
            keys += found
            owners += [number] * len(found)
        self._staging.append("entity_key", keyed(np.array(keys, np.int64), np.array(owners, np.int64)))

    def _add_sources(self, batch: FactBatch) -> None:
        if batch.sources:
            places, documents, starts, ends = map(list, zip(*batch.sources, strict=True))
            facts = [self.rows + 1 + place for place in places]
            flat = interleaved(facts, self._named("document", documents), starts, ends)
            insert(self._connection, 'source (fact, document, start, "end", since)', 4, flat, f",{REVISION}")

    # The file

    def _make(self, identity: str) -> None:
        run = self._connection.execute
        self._connection.executescript(f"BEGIN; {NARROW_TABLES} {_OWN_TABLES}")
        Staging(self._connection).make()
        run("INSERT INTO progress VALUES (?, 0, 0)", (identity,))
        run("COMMIT")

    def _learn(self) -> None:
        """Number the names that are stored already, as they were."""
        for table, dictionary in self._numbers.items():
            names = self._connection.execute(f"SELECT name FROM {table} ORDER BY id")
            while part := names.fetchmany(_AT_ONCE):
                dictionary.encode([row[0] for row in part])

    def _seal(self) -> None:
        run = self._connection.execute
        self._connection.executescript(
            f"BEGIN; DROP TABLE progress; DROP TABLE staged; PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {VERSION}; COMMIT; DETACH packing; "
            "PRAGMA locking_mode = NORMAL; PRAGMA synchronous = FULL;"
        )
        run("PRAGMA journal_mode = DELETE")  # a file at rest needs nothing beside it


def discard(path: Path) -> None:
    """Remove what a `Builder` left at `path`."""
    for ending in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.OperationalError:  # in use by another process
        raise
    except sqlite3.DatabaseError:
        discard(path)
        return _opened(path)
    for pragma in (*_PRAGMAS, f"cache_size = -{_FEW_KIB}"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("ATTACH '' AS packing")
    return connection


def _progress(connection: sqlite3.Connection) -> tuple[str, int, int] | None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'progress'").fetchone():
        return None
    row: tuple[str, int, int] = connection.execute("SELECT identity, rows, step FROM progress").fetchone()
    return row
