"""Building the file of a knowledge base from facts in bulk: every row written once, every index made once, sorted.

What comes out is what `kb.writer` would have written fact by fact under one revision. `Builder` works on a file of its
own, whose transactions hold rows and progress alike: killed at any point, it goes on from the last one. Names have
numbers as they come; keys of values and of names wait in `kb.staging` until they can be sorted. Who reads the facts,
and how the file becomes a knowledge base, is left to `kb.bulk`.
"""

import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from lamlam.kb.blocking import stored_keys, value_key
from lamlam.kb.dictionary import Dictionary
from lamlam.kb.names import normalise
from lamlam.kb.schema import APPLICATION_ID, INDEXES, TABLES, VERSION
from lamlam.kb.staging import Staging, in_order, insert, interleaved, keyed, unkeyed

__all__ = ["Batch", "Builder", "discard"]

_REVISION = 1
_COMMIT_ROWS = 500_000
_FEW_KIB, _MANY_KIB = 16 * 1024, 64 * 1024  # of cache: while rows are appended, while they are sorted
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_AT_ONCE = 40_000
_PRAGMAS = (
    "locking_mode = EXCLUSIVE", "journal_mode = TRUNCATE", "synchronous = NORMAL", "temp_store = FILE", "threads = 2",
)  # fmt: skip
_WAIT_SECONDS = 60.0
_DOUBLES = 10_000  # compared at once
_OWN_TABLES = """
CREATE TABLE progress (identity TEXT NOT NULL, rows INTEGER NOT NULL, step INTEGER NOT NULL);
CREATE TABLE staged_alias (kind TEXT NOT NULL, target INTEGER NOT NULL, name TEXT NOT NULL);
CREATE TABLE double (id INTEGER PRIMARY KEY, kept INTEGER NOT NULL);
"""
_FACT_TABLE = TABLES[TABLES.index("CREATE TABLE fact (") : TABLES.index(");\nCREATE TABLE value_key") + 1]
_LAST_COLUMNS = _FACT_TABLE[_FACT_TABLE.index(",\n    until ") : -2]
_NARROW_TABLES = TABLES.replace(_LAST_COLUMNS, "")


class Batch(NamedTuple):
    """Facts as columns. `sources`: (place, document, start, end); `aliases`: (place, "entity" or "relation", name)."""

    entities: list[str]
    relations: list[str]
    values: list[str]
    sources: list[tuple[int, str, int | None, int | None]]
    aliases: list[tuple[int, str, str]]


class Builder:
    """`add` batches from the fact after `rows` on, then `finish`."""

    def __init__(self, path: Path, identity: str) -> None:
        """Go on with the file at `path` if it was begun for the same `identity`, or begin it anew."""
        self._connection = self._opened(path)
        begun = self._progress()
        if begun is None or begun[0] != identity:
            self._connection.close()
            discard(path)
            self._connection, begun = self._opened(path), (identity, 0, 0)
            self._make(identity)
        _, self.rows, self._step = begun
        self._staging = Staging(self._connection)
        self._numbers = {table: Dictionary() for table in ("entity", "relation", "document")}
        if self._step == 0:
            self._learn()
        self._uncommitted = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was not committed is lost, as when the process is killed."""
        self._connection.close()

    def add(self, batch: Batch) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")
        entities, relations = self._named("entity", batch.entities), self._named("relation", batch.relations)
        keys = np.fromiter(map(value_key, batch.values), np.int32, len(batch.values))
        numbers = list(range(self.rows + 1, self.rows + len(keys) + 1))
        flat = interleaved(numbers, entities, relations, batch.values)
        insert(self._connection, "fact (id, entity, relation, value, since)", 4, flat, f",{_REVISION}")
        self._staging.append("value", keys)
        self._staging.append("proposition", _mixed(entities, relations, keys))
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
        """Sort, index, and make it a knowledge base; how many facts there are, and how many were given again."""
        self.commit()
        self._numbers.clear()
        self._connection.execute(f"PRAGMA cache_size = -{_MANY_KIB}")
        steps: list[Callable[[], object]] = [
            self._point_aliases,
            self._drop_doubles,
            self._key_values,
            self._key_entities,
            self._spell,
        ]
        steps += [self._complete_table]
        steps += [partial(self._connection.execute, sql) for sql in INDEXES.values()]
        steps += [lambda: self._tell(actor, reason)]
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
        """The numbers of names, which are stored when they are new."""
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

    def _add_sources(self, batch: Batch) -> None:
        if batch.sources:
            places, documents, starts, ends = map(list, zip(*batch.sources, strict=True))
            facts = [self.rows + 1 + place for place in places]
            flat = interleaved(facts, self._named("document", documents), starts, ends)
            insert(self._connection, 'source (fact, document, start, "end", since)', 4, flat, f",{_REVISION}")

    # Finishing

    def _point_aliases(self) -> None:
        for table in ("entity", "relation"):
            self._connection.execute(
                f"INSERT INTO {table}_alias (name, target, since) SELECT name, target, {_REVISION} FROM staged_alias "
                f"WHERE kind = '{table}' GROUP BY target, name ORDER BY min(rowid)"
            )
        self._connection.execute("DROP TABLE staged_alias")

    def _drop_doubles(self) -> None:
        """Delete the facts that were given again, after their sources have gone to the first of them."""
        run = self._connection.execute
        for doubles in self._doubles():
            self._connection.executemany("INSERT INTO double VALUES (?, ?)", doubles)
        self._staging.drop("proposition")
        if not run("SELECT 1 FROM double").fetchone():
            return
        run("UPDATE source SET fact = (SELECT kept FROM double WHERE id = fact) WHERE fact IN (SELECT id FROM double)")
        run("""
            DELETE FROM source WHERE id IN (SELECT id FROM (
                SELECT id, row_number() OVER (PARTITION BY fact, document, start, "end" ORDER BY id) AS nth
                FROM source WHERE fact IN (SELECT kept FROM double)
            ) WHERE nth > 1)
        """)
        run("DELETE FROM fact WHERE id IN (SELECT id FROM double)")

    def _doubles(self) -> Iterator[list[tuple[int, int]]]:
        """(fact, the first fact that states the same), in parts."""
        for mixed in in_order(lambda: self._staging.read("proposition", np.uint64)):
            again = np.unique(mixed[1:][mixed[1:] == mixed[:-1]])
            if len(again):
                yield from self._compared(again)

    def _compared(self, again: np.ndarray) -> Iterator[list[tuple[int, int]]]:
        """Those facts, among the ones with one of these digests, that really state the same."""
        pairs, first = [], 1
        for piece in self._staging.read("proposition", np.uint64):
            places = np.flatnonzero((piece >= again[0]) & (piece <= again[-1]))
            places = places[again[np.searchsorted(again, piece[places])] == piece[places]]
            pairs.append(np.stack([piece[places], (places + first).astype(np.uint64)]))
            first += len(piece)
        digests, facts = np.concatenate(pairs, axis=1)
        order = np.lexsort((facts, digests))
        digests, facts = digests[order], facts[order]
        ends = [*(np.flatnonzero(digests[1:] != digests[:-1]) + 1).tolist(), len(facts)]
        start = 0
        while start < len(facts):
            end = ends[min(bisect_left(ends, start + _DOUBLES), len(ends) - 1)]
            yield self._same(facts[start:end].tolist())
            start = end

    def _same(self, numbers: list[int]) -> list[tuple[int, int]]:
        kept: dict[tuple, int] = {}
        doubles = []
        for number in sorted(numbers):
            sql = "SELECT entity, relation, value FROM fact WHERE id = ?"
            first = kept.setdefault(self._connection.execute(sql, (number,)).fetchone(), number)
            if first != number:
                doubles.append((number, first))
        return doubles

    def _key_values(self) -> None:
        doubles = np.array([row[0] for row in self._connection.execute("SELECT id FROM double ORDER BY id")], np.int64)
        with self._packed("value_key") as table:
            for part in in_order(lambda: self._staging.read_keyed("value")):
                keys, facts = unkeyed(part)
                kept = ~np.isin(facts, doubles) if len(doubles) else np.ones(len(facts), bool)
                self._insert_keys(table, keys[kept], facts[kept])
        self._connection.execute("DROP TABLE double")
        self._staging.drop("value")

    def _key_entities(self) -> None:
        """The keys of names, then those of aliases."""
        aliases = self._connection.execute("SELECT id, target, name FROM entity_alias")
        keyed_aliases = (
            (key, target, number) for number, target, name in aliases for key in stored_keys(normalise(name))
        )
        with self._packed("entity_key") as table:
            for part in in_order(lambda: self._staging.read("entity_key", np.uint64)):
                self._insert_keys(table, *unkeyed(part), ",0")
            self._connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", keyed_aliases)
        self._staging.drop("entity_key")

    def _spell(self) -> None:
        self._connection.create_function("normalise", 1, normalise, deterministic=True)
        for kind in ("entity", "relation"):
            with self._packed(f"{kind}_spelling") as table:
                self._connection.execute(
                    f"INSERT INTO {table} SELECT normalise(name), id, 0 FROM {kind} UNION ALL "
                    f"SELECT normalise(name), target, id FROM {kind}_alias ORDER BY 1, 2, 3"
                )

    def _complete_table(self) -> None:
        """Give the table of facts its last columns: rows without them have the defaults, and are two bytes shorter."""
        run = self._connection.execute
        run("PRAGMA writable_schema = ON")
        run("UPDATE sqlite_master SET sql = ? WHERE name = 'fact'", (_FACT_TABLE,))
        run("PRAGMA writable_schema = RESET")

    def _tell(self, actor: str, reason: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        sql = "INSERT INTO revision (id, time, actor, action, reason) VALUES (?, ?, ?, 'add', ?)"
        self._connection.execute(sql, (_REVISION, now, actor, reason))

    @contextmanager
    def _packed(self, table: str) -> Iterator[str]:
        """A table like `table` to fill in order and to copy from, since SQLite fills the pages of a copy wholly."""
        run = self._connection.execute
        (sql,) = run("SELECT sql FROM main.sqlite_master WHERE name = ?", (table,)).fetchone()
        run(sql.replace(f"CREATE TABLE {table}", f"CREATE TABLE packing.{table}"))
        yield f"packing.{table}"
        run(f"INSERT INTO main.{table} SELECT * FROM packing.{table}")
        run(f"DROP TABLE packing.{table}")

    def _insert_keys(self, table: str, keys: np.ndarray, numbers: np.ndarray, constants: str = "") -> None:
        for start in range(0, len(keys), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            insert(self._connection, table, 2, interleaved(keys[part].tolist(), numbers[part].tolist()), constants)

    # The file

    def _opened(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
        for pragma in (*_PRAGMAS, f"cache_size = -{_FEW_KIB}"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("ATTACH '' AS packing")
        return connection

    def _progress(self) -> tuple[str, int, int] | None:
        try:
            row: tuple[str, int, int] = self._connection.execute("SELECT identity, rows, step FROM progress").fetchone()
        except sqlite3.DatabaseError:
            return None
        return row

    def _make(self, identity: str) -> None:
        run = self._connection.execute
        self._connection.executescript(f"BEGIN; {_NARROW_TABLES} {_OWN_TABLES}")
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
        run("PRAGMA journal_mode = WAL")


def discard(path: Path) -> None:
    """Remove what a `Builder` left at `path`."""
    for ending in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _mixed(entities: list[int], relations: list[int], keys: np.ndarray) -> np.ndarray:
    """A digest of each proposition; [N] uint64."""
    mixed = (np.array(entities, np.uint64) << np.uint64(32)) | np.array(relations, np.uint64)
    mixed = mixed * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(29))) + keys.view(np.uint32).astype(np.uint64)
    mixed = mixed * _MIX[1]
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _MIX[2]
    return mixed ^ (mixed >> np.uint64(29))
