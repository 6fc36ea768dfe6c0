"""What a knowledge base asks of the database under it, and which database an address means.

One dialect of SQL serves both: question marks for parameters, `ON CONFLICT`, `RETURNING`. What the tables mean is left
to the modules that use it; files, logs and free pages to the database itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from lamlam.errors import LamLamError
from lamlam.kb.scan import Scan

__all__ = ["Database", "Parameters", "connect", "connected_to_fill", "is_url", "keep", "kept"]

Parameters = Sequence[Any] | Mapping[str, Any]


class Database(Protocol):
    """A connection, to be used by the thread that opened it. Every fault it meets is told as a `LamLamError`."""

    path: Path | None
    writable: bool

    @property
    def broken(self) -> bool:
        """Whether the connection was lost, so that only opening it anew helps."""
        ...

    def close(self) -> None: ...

    def take_back(self) -> None:
        """Remove what opening it made, where nobody wrote into it since; the connection is of no use then."""
        ...

    def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """All rows that a statement yields."""
        ...

    def one(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        """The first row that a statement yields."""
        ...

    def scalar(self, sql: str, parameters: Parameters = ()) -> Any:
        """The first column of the first row, None where there is no row."""
        ...

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        """Run a statement that writes; how many rows it changed."""
        ...

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement that writes, for each row of parameters."""
        ...

    def stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement one by one, for results that memory would not hold."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All that is written inside, or nothing of it; inside a transaction, a savepoint. One writes at a time."""
        ...

    def snapshot(self, *, long: bool = False) -> AbstractContextManager[None]:
        """Everything read inside is of one revision; inside a transaction or a snapshot, nothing more.

        `long` is for what takes more than seconds: nobody's first write may wait for it.
        """
        ...

    def expect_writes(self) -> None:
        """Prepare for writes to come, so that whoever is reading then does not hold them up."""
        ...

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], last_id: int | None) -> None:
        """Write whole rows, ids included, into an empty table, which gives no id up to `last_id` from then on."""
        ...

    def last_id(self, table: str) -> int:
        """The highest id that a table ever gave, so that it is not given again."""
        ...

    def size(self) -> int:
        """Bytes on disk."""
        ...

    def faults(self) -> Iterator[str]:
        """What is wrong with the database itself, whatever its tables mean: a sentence each."""
        ...

    # Erasing

    def settle(self) -> None:
        """Bring the file up to date and keep it so until `erase`, so that its digest tells what stood there before."""
        ...

    def digest(self) -> str:
        """SHA-256, hexadecimal, of the database's file; of its content where there is no file to read."""
        ...

    def erased(self) -> bool:
        """Whether no erasure waits to be finished."""
        ...

    def finish_erasing(self) -> bool:
        """Make deleted rows unreadable; False while others' reading prevents it, and `erased` is false until then."""
        ...

    def erase(self, strings: Iterable[str]) -> Scan:
        """Make deleted rows unreadable in every file, and search the files for `strings`; the `Scan`."""
        ...


_SCHEMES = ("postgresql://", "postgres://")


def connect(address: str | Path, *, create: bool = False) -> Database:
    """Open a file, ":memory:" or a URL; a knowledge base is made where it is missing and `create` says so."""
    if not is_url(address):
        from lamlam.kb.sqlite import SQLiteDatabase

        return SQLiteDatabase(address, create=create)
    from lamlam.kb.postgres import PostgresDatabase

    return PostgresDatabase(str(address), create=create)


@contextmanager
def connected_to_fill(address: str | Path) -> Iterator[Database]:
    """A database to write into, made where it is missing. One that was made for a block that fails is removed again,
    unless another program has begun to use it."""
    database = connect(address, create=True)
    try:
        yield database
    except BaseException:
        with suppress(LamLamError):  # what failed is told, and not this
            database.take_back()
        raise
    finally:
        database.close()


def is_url(address: str | Path) -> bool:
    """Whether an address names a database on a server, and no file."""
    return str(address).startswith(_SCHEMES)


def keep(database: Database, key: str, text: str) -> None:
    """Keep a text in place of what was kept under the key; within an open transaction."""
    sql = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    database.run(sql, (key, text.encode()))


def kept(database: Database, key: str) -> str | None:
    """What is kept under a key; None where nothing is."""
    value = database.scalar("SELECT value FROM meta WHERE key = ?", (key,))
    return None if value is None else value if isinstance(value, str) else bytes(value).decode()
