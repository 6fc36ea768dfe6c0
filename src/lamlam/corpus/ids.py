"""The ids of a corpus, none of which may come twice: sources name documents by them, and are forgotten by them."""

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from lamlam.errors import InputError

__all__ = ["Ids"]

_TABLE = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -32768;
CREATE TABLE id (id TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;
BEGIN;
"""


class Ids:
    """Ids and where they stand, on the disk where they are many. A context manager."""

    def __init__(self) -> None:
        # Readers are iterators, which may go on in another thread; a nameless file is removed by SQLite itself.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, id: str, path: str | Path, line: int | None = None, field: str = "id") -> None:
        """Take the id of a document. Raises `InputError` where another one has it."""
        place = f"{path}:{line}" if line else str(path)
        sql = "INSERT INTO id VALUES (?, ?) ON CONFLICT DO NOTHING"
        if self._database.execute(sql, (id, place)).rowcount == 0:
            [first] = self._database.execute("SELECT place FROM id WHERE id = ?", (id,)).fetchone()
            where = first if first != place else "another document"
            raise InputError(f"'{id}' is the id of {where} already", path=path, line=line, field=field)
