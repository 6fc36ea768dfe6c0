"""What a knowledge base asks of the database under it, and which database an address means.

One dialect of SQL serves both: question marks for parameters, `ON CONFLICT`, `RETURNING`. What the tables mean is left
to the modules that use it; files, logs and free pages to the database itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from lamlam.batches import batches
from lamlam.errors import LamLamError, StoreError
from lamlam.kb.scan import Scan

__all__ = ["Database", "Parameters", "connect", "connected_to_fill", "get_meta", "is_url", "set_meta"]

Parameters = Sequence[Any] | Mapping[str, Any]

_SCHEMES = ("postgresql://", "postgres://")
_VALUES_AT_ONCE = 500  # in one list of a statement


class Database(ABC):
    """A connection, for the thread that opened it only. Every fault it meets is raised as a `LamLamError`."""

    path: Path | None
    name: str | Path
    """How errors call it: its path, or its URL without the password."""
    writable: bool
    _faults: tuple[type[Exception], ...]
    _begin: ClassVar[str]
    _begin_reading: ClassVar[str]

    @property
    @abstractmethod
    def broken(self) -> bool:
        """Whether the connection is lost, so that only opening it again helps."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def take_back(self) -> None:
        """Remove what opening it made, unless somebody wrote into it since; the connection is of no use afterwards."""

    # Statements

    def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a statement."""
        try:
            rows: list[tuple[Any, ...]] = self._execute(sql, parameters).fetchall()
        except self._faults as error:
            raise self._reported(error) from error
        return rows

    def one(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        """Return the first row of a statement."""
        try:
            cursor = self._execute(sql, parameters)
            return cursor.fetchone() if cursor.description else None
        except self._faults as error:
            raise self._reported(error) from error

    def scalar(self, sql: str, parameters: Parameters = ()) -> Any:
        """Return the first column of the first row; None if there is no row."""
        row = self.one(sql, parameters)
        return row[0] if row else None

    def rows_in(self, sql: str, values: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a statement whose `IN (%s)` is filled with values; many values take several statements."""
        for part in batches(values, _VALUES_AT_ONCE):
            yield from self.rows(sql % ",".join("?" * len(part)), part)

    def pages(self, sql: str, parameters: Sequence[Any] = (), after: int = 0) -> Iterator[list[tuple[Any, ...]]]:
        """Yield rows in pages by their first column, an id, so that others may write in between.

        The statement's first parameter is the id beyond which a page begins, its last the number of rows.
        """
        while rows := self.rows(sql, (after, *parameters, _VALUES_AT_ONCE)):
            yield rows
            after = rows[-1][0]

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        """Run a statement that writes; return how many rows it changed."""
        try:
            return int(self._execute(sql, parameters).rowcount)
        except self._faults as error:
            raise self._reported(error) from error

    @abstractmethod
    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement that writes, for each row of parameters."""

    @abstractmethod
    def stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a statement one by one, for results that don't fit into memory."""

    @abstractmethod
    def _execute(self, sql: str, parameters: Parameters) -> Any: ...

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Turn faults of the driver inside into errors of ours."""
        try:
            yield
        except self._faults as error:
            raise self._reported(error) from error

    @abstractmethod
    def _reported(self, error: Exception) -> LamLamError:
        """Return our error for a fault of the driver."""

    # Transactions

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all that is written inside, or none of it; inside a transaction, a savepoint. One writes at a time."""
        if not self.writable:
            raise StoreError(self.name, "is read-only")
        nested = self._in_transaction()
        if not nested:
            self.expect_writes()
        self.run("SAVEPOINT call" if nested else self._begin)
        try:
            if not nested:
                self._began()
            yield
            self.run("RELEASE call" if nested else "COMMIT")
        except BaseException:
            if self._in_transaction():
                for statement in ("ROLLBACK TO call", "RELEASE call") if nested else ("ROLLBACK",):
                    self.run(statement)
            raise

    @contextmanager
    def snapshot(self, *, long: bool = False) -> Iterator[None]:
        """Read one revision throughout; inside a transaction or a snapshot, this changes nothing.

        `long` is for what takes more than seconds: nobody's first write may wait for it.
        """
        if self._in_transaction():
            yield
            return
        if long:
            self.expect_writes()
        self.run(self._begin_reading)
        try:
            yield
        finally:
            if self._in_transaction():
                self.run("COMMIT")

    @abstractmethod
    def expect_writes(self) -> None:
        """Prepare for writes to come, so that whoever is reading then does not hold them up."""

    @abstractmethod
    def _began(self) -> None:
        """Do what a transaction that writes needs once it has begun."""

    @abstractmethod
    def _in_transaction(self) -> bool: ...

    # Tables

    @abstractmethod
    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], last_id: int | None) -> None:
        """Write whole rows, ids included, into an empty table; from then on it gives no id up to `last_id`."""

    @abstractmethod
    def last_id(self, table: str) -> int:
        """Return the highest id that a table ever gave, so that it is not given again."""

    @abstractmethod
    def size(self) -> int:
        """Return the bytes on disk."""

    @abstractmethod
    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the database itself, whatever its tables mean: a sentence each."""

    # Erasing

    @abstractmethod
    def settle(self) -> None:
        """Bring the file up to date and keep it so until `erase`, so that its digest is of what was there before."""

    @abstractmethod
    def digest(self) -> str:
        """Return the SHA-256 of the database's file, in hexadecimal; of its content if there is no file to read."""

    def erased(self) -> bool:
        """Whether no erasure waits to be finished."""
        return self.one("SELECT 1 FROM meta WHERE key = 'erasing'") is None

    @abstractmethod
    def finish_erasing(self) -> bool:
        """Make deleted rows unreadable; False while others' reading prevents it, and `erased` is false until then."""

    @abstractmethod
    def erase(self, strings: Iterable[str]) -> Scan:
        """Make deleted rows unreadable in every file, and search the files for `strings`."""


def connect(address: str | Path, *, create: bool = False) -> Database:
    """Open a file, ":memory:" or a URL; with `create`, make a knowledge base where there is none."""
    if is_url(address):
        from lamlam.kb.postgres import PostgresDatabase

        return PostgresDatabase(str(address), create=create)
    from lamlam.kb.sqlite import SQLiteDatabase

    return SQLiteDatabase(address, create=create)


@contextmanager
def connected_to_fill(address: str | Path) -> Iterator[Database]:
    """Open a database to write into, or make it. If the block fails, one that was made for it is removed again, unless
    another program has begun to use it."""
    database = connect(address, create=True)
    try:
        yield database
    except BaseException:
        with suppress(LamLamError):  # the block's error matters, not this one
            database.take_back()
        raise
    finally:
        database.close()


def is_url(address: str | Path) -> bool:
    """Whether an address names a database on a server, not a file."""
    return str(address).startswith(_SCHEMES)


def set_meta(database: Database, key: str, text: str) -> None:
    """Keep a text under a key about the knowledge base itself, replacing an older one; within an open transaction."""
    sql = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    database.run(sql, (key, text.encode()))


def get_meta(database: Database, key: str) -> str | None:
    """Return the text that is kept under a key; None if there is none."""
    value = database.scalar("SELECT value FROM meta WHERE key = ?", (key,))
    return None if value is None else value if isinstance(value, str) else bytes(value).decode()
