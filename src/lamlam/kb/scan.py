"""Looking for erased strings in the bytes of a knowledge base's files."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lamlam.kb.database import Database

__all__ = ["Scan", "file_digest", "scan"]

_CHUNK = 1 << 24
_SHORTEST = 4  # fewer bytes stand in any file by chance


@dataclass(frozen=True, slots=True)
class Scan:
    """What a search of the files for the erased strings found.

    `searched` strings were looked for in `files` (`bytes` in all). `shared` of them still stand there as part of what
    remains and is not erased, `short` ones of under four bytes cannot be told from chance, and `left_over` should be 0.
    """

    files: tuple[str, ...]
    bytes: int
    searched: int
    shared: int
    short: int
    left_over: int

    @property
    def clean(self) -> bool:
        return self.left_over == 0


def scan(database: Database, strings: Iterable[str]) -> Scan:
    """Search the file, and the logs beside it, for strings that should be gone."""
    encoded = {text.encode(): text for text in strings}
    wanted = {pattern for pattern in encoded if len(pattern) >= _SHORTEST}
    found: set[bytes] = set()
    names, size = [], 0
    overlap = max((len(pattern) for pattern in wanted), default=1) - 1
    for name, chunks in _contents(database):
        names.append(name)
        tail = b""
        for chunk in chunks:
            size += len(chunk)
            window = tail + chunk
            found |= {pattern for pattern in wanted - found if pattern in window}
            tail = window[-overlap:] if overlap else b""
    shared = sum(_remains(database, encoded[pattern]) for pattern in found)
    return Scan(tuple(names), size, len(wanted), shared, len(encoded) - len(wanted), len(found) - shared)


def file_digest(database: Database) -> str:
    """SHA-256 of the database file, or of what would be its file."""
    digest = hashlib.sha256()
    for _, chunks in list(_contents(database))[:1]:
        for chunk in chunks:
            digest.update(chunk)
    return digest.hexdigest()


def _contents(database: Database) -> Iterator[tuple[str, Iterator[bytes]]]:
    if database.path is None:
        yield ":memory:", iter([database.serialized()])
        return
    for ending in ("", "-wal", "-shm", "-journal"):
        path = database.path.with_name(database.path.name + ending)
        if path.exists():
            yield path.name, _chunks(path)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _remains(database: Database, text: str) -> bool:
    """Whether some row that is not erased holds the string, alone or within a longer one."""
    queries = (
        "SELECT 1 FROM entity WHERE instr(name || norm, ?)",
        "SELECT 1 FROM relation WHERE instr(name || norm, ?)",
        "SELECT 1 FROM entity_alias WHERE instr(name || norm, ?)",
        "SELECT 1 FROM relation_alias WHERE instr(name || norm, ?)",
        "SELECT 1 FROM value WHERE instr(name, ?)",
        "SELECT 1 FROM document WHERE instr(name, ?)",
        "SELECT 1 FROM revision WHERE instr(time || actor || action || reason, ?)",
        "SELECT 1 FROM sqlite_schema WHERE instr(name || tbl_name || sql, ?)",
    )
    return any(database.one(query + " LIMIT 1", (text,)) for query in queries)
