"""Where a test's knowledge base stands: in a file, or in a schema of a PostgreSQL server."""

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import psycopg

from lamlam.kb import KnowledgeBase
from lamlam.kb.schema import LAYOUT
from postgres_server import PostgresServer

__all__ = ["FilePlace", "Place", "PostgresPlace"]


class Place(Protocol):
    address: str | Path

    def open(self, *, create: bool = False) -> KnowledgeBase: ...

    def fresh(self) -> AbstractContextManager[KnowledgeBase]:
        """Another knowledge base, empty, which goes when the block ends."""
        ...

    def left(self, *texts: str) -> set[str]:
        """Which of the texts, whatever their case, stand in some file of the knowledge base."""
        ...

    def remove(self) -> None: ...


_COUNT_ANEW = """
    SELECT setval(oid, 1, false) FROM pg_class
    WHERE relkind = 'S' AND relnamespace::regnamespace::name = current_schema()
"""


class FilePlace:
    """`folder` holds nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, folder / "kb.sqlite"

    def open(self, *, create: bool = False) -> KnowledgeBase:
        return KnowledgeBase.open(self.address, create=create)

    def fresh(self) -> KnowledgeBase:
        return KnowledgeBase.open(":memory:")

    def left(self, *texts: str) -> set[str]:
        return _left(self.folder.iterdir(), texts)

    def remove(self) -> None:
        """The folder goes with the test's own."""


class PostgresPlace:
    _numbers = itertools.count(1)

    def __init__(self, server: PostgresServer) -> None:
        self._server, self.schema = server, f"kb{next(self._numbers)}"
        self.address = server.url(self.schema)
        server.execute(f"CREATE SCHEMA {self.schema}")

    def open(self, *, create: bool = False) -> KnowledgeBase:
        return KnowledgeBase.open(self.address, create=create)

    @contextmanager
    def fresh(self) -> Iterator[KnowledgeBase]:
        """Tables are made once and emptied by DELETE, which for so few rows is the quickest.

        They stand in a database of their own: `left` would find the rows deleted.
        """
        idle = self._server.idle
        address = idle.pop() if idle else self._another()
        with KnowledgeBase.open(address, create=True) as kb:
            yield kb
        with KnowledgeBase.open(address) as kb:  # a connection of its own: the test's may be in any state
            for table in reversed(LAYOUT):
                kb._database.run(f"DELETE FROM {table}" + (" WHERE key <> 'tombstone_key'" if table == "meta" else ""))
            kb._database.run(_COUNT_ANEW)
        idle.append(address)

    def _another(self) -> str:
        if not self._server.rows("SELECT 1 FROM pg_database WHERE datname = 'fresh'"):
            self._server.execute("CREATE DATABASE fresh")
        name = f"kb{next(self._numbers)}"
        with psycopg.connect(self._server.url(database="fresh"), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return self._server.url(name, database="fresh")

    def left(self, *texts: str) -> set[str]:
        """In the files of the whole database; those that were dropped go with a checkpoint."""
        self._server.execute("CHECKPOINT")
        [(number,)] = self._server.rows("SELECT oid FROM pg_database WHERE datname = current_database()")
        return _left((self._server.data / "base" / str(number)).iterdir(), texts)

    def remove(self) -> None:
        self._server.execute(f"DROP SCHEMA {self.schema} CASCADE")


def _left(files: Iterator[Path], texts: tuple[str, ...]) -> set[str]:
    contents = []
    for path in files:
        with suppress(FileNotFoundError):  # a temporary table that has just gone with its session
            contents.append(path.read_bytes().lower())
    return {text for text in texts if any(text.lower().encode() in content for content in contents)}
