"""The SQLite file under a knowledge base: opening it, running statements, transactions.

Every statement of the knowledge base goes through `Database`, which turns SQLite's errors into `LamLamError`. What the
tables mean is left to the modules that use it.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lamlam.errors import InputError, LamLamError
from lamlam.kb.schema import APPLICATION_ID, SCHEMA, VERSION

__all__ = ["Database"]

Parameters = Sequence[Any] | Mapping[str, Any]

_MAGIC = b"SQLite format 3\x00"
_WAIT_SECONDS = 10.0
_FAULTS = (sqlite3.Error, UnicodeEncodeError, OverflowError)


class Database:
    """A connection, to be used by the thread that opened it."""

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        """Open the file, or make it where `create` says so; ":memory:" is a database without a file.

        Raises `InputError` when there is no such file, or it is not a knowledge base, or it is damaged.
        """
        self.path = None if str(path) == ":memory:" else Path(path)
        fresh = self.path is None or (create and _is_missing_or_empty(self.path))
        if self.path is not None:
            _check_file(self.path, fresh)
        self.writable = fresh or self.path is None or _is_writable(self.path)
        try:
            self._connection = self._connect()
        except sqlite3.Error as error:
            raise InputError(f"cannot be opened: {error}", path=self.path) from error
        try:
            self._make() if fresh else self._check()
        except sqlite3.Error as error:
            self._connection.close()
            raise InputError(f"is damaged: {error}", path=self.path) from error
        except InputError:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """All rows that a statement yields."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except _FAULTS as error:
            raise self._told(error) from error

    def one(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        """The first row that a statement yields."""
        try:
            row: tuple[Any, ...] | None = self._connection.execute(sql, parameters).fetchone()
        except _FAULTS as error:
            raise self._told(error) from error
        return row

    def scalar(self, sql: str, parameters: Parameters = ()) -> Any:
        """The first column of the first row, None where there is no row."""
        row = self.one(sql, parameters)
        return row[0] if row else None

    def run(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run a statement that writes; its cursor has `lastrowid` and `rowcount`."""
        try:
            return self._connection.execute(sql, parameters)
        except _FAULTS as error:
            raise self._told(error) from error

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside, or nothing of it; inside a transaction, a savepoint."""
        if not self.writable:
            raise LamLamError(f"{self.path} is read-only")
        nested = self.in_transaction
        self.run("SAVEPOINT call" if nested else "BEGIN IMMEDIATE")
        try:
            yield
            self.run("RELEASE call" if nested else "COMMIT")
        except BaseException:
            if self.in_transaction:
                for statement in ("ROLLBACK TO call", "RELEASE call") if nested else ("ROLLBACK",):
                    self.run(statement)
            raise

    def empty_log(self) -> bool:
        """Move the write-ahead log into the file and cut it to nothing; False while another program reads."""
        return not self.scalar("PRAGMA wal_checkpoint(TRUNCATE)")

    def serialized(self) -> bytes:
        """The database as the bytes of its file; for one that has no file."""
        return self._connection.serialize()

    def _connect(self) -> sqlite3.Connection:
        if self.path is None:
            return sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
        uri = self.path.absolute().as_uri() + ("?mode=rwc" if self.writable else "?mode=ro&immutable=1")
        return sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None, cached_statements=512)

    def _make(self) -> None:
        key = f"INSERT INTO meta VALUES ('tombstone_key', x'{secrets.token_hex(32)}');"
        self._connection.executescript(
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; PRAGMA journal_mode = WAL;"
            f"BEGIN; {SCHEMA} {key} COMMIT;"
        )
        self._configure()

    def _check(self) -> None:
        execute = self._connection.execute
        if execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise InputError("is an SQLite file, but not a knowledge base", path=self.path)
        version = execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise InputError(f"has schema version {version}, this program reads {VERSION}", path=self.path)
        for table in ("fact", "entity", "relation", "value", "source", "tombstone", "revision", "meta"):
            execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
        self._configure()

    def _configure(self) -> None:
        """`secure_delete` overwrites what is deleted with zeros, at once."""
        for pragma in ("foreign_keys = ON", "secure_delete = ON", "synchronous = NORMAL", "temp_store = MEMORY"):
            self._connection.execute(f"PRAGMA {pragma}")

    def _told(self, error: Exception) -> LamLamError:
        if isinstance(error, UnicodeEncodeError):
            return InputError("a text holds a lone surrogate, which is not valid Unicode")
        if isinstance(error, OverflowError):
            return InputError("a number is too large")
        name = self.path or "the knowledge base"
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            return LamLamError(f"{name} is being written to by another program")
        if isinstance(error, sqlite3.ProgrammingError):
            return LamLamError(f"{name} cannot be used so: {error}")
        return LamLamError(f"{name} is damaged or cannot be written: {error}")


def _is_missing_or_empty(path: Path) -> bool:
    return not path.exists() or (path.is_file() and path.stat().st_size == 0)


def _is_writable(path: Path) -> bool:
    """SQLite writes a log beside the file, so that its folder counts as well."""
    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)


def _check_file(path: Path, fresh: bool) -> None:
    """Refuse what is plainly no knowledge base before SQLite touches it."""
    if fresh:
        if not path.absolute().parent.is_dir():
            raise InputError("its folder does not exist", path=path)
        return
    if not path.exists():
        raise InputError("no such knowledge base", path=path)
    if not path.is_file():
        raise InputError("is not a file", path=path)
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    if head != _MAGIC:
        raise InputError("is not a knowledge base", path=path)
