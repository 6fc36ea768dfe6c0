"""Which database an address means: a file is SQLite's, a URL is PostgreSQL's."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lamlam.errors import LamLamError
from lamlam.kb.database import Database
from lamlam.kb.sqlite import SQLiteDatabase

__all__ = ["connect", "connected_to_fill", "is_url"]

_SCHEMES = ("postgresql://", "postgres://")


def connect(address: str | Path, *, create: bool = False) -> Database:
    """Open a file, ":memory:" or a URL; a knowledge base is made where it is missing and `create` says so."""
    if not is_url(address):
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
