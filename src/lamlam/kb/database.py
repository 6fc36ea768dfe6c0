"""What a knowledge base asks of the database under it, whichever that is.

One dialect of SQL serves all: question marks for parameters, `ON CONFLICT`, `RETURNING`. What the tables mean is left
to the modules that use it; files, logs and free pages to the database itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from lamlam.kb.scan import Scan

__all__ = ["Database", "Parameters"]

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
