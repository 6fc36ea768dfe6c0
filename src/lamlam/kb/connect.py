"""Which database an address means: a file is SQLite's, a URL is PostgreSQL's."""

from pathlib import Path

from lamlam.kb.database import Database
from lamlam.kb.sqlite import SQLiteDatabase

__all__ = ["connect", "is_url"]

_SCHEMES = ("postgresql://", "postgres://")


def connect(address: str | Path, *, create: bool = False) -> Database:
    """Open a file, ":memory:" or a URL; a knowledge base is made where it is missing and `create` says so."""
    if not is_url(address):
        return SQLiteDatabase(address, create=create)
    from lamlam.kb.postgres import PostgresDatabase

    return PostgresDatabase(str(address), create=create)


def is_url(address: str | Path) -> bool:
    """Whether an address names a database on a server, and no file."""
    return str(address).startswith(_SCHEMES)
