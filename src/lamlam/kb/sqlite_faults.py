"""What SQLite's errors mean, in words: who else uses the file, what the disk lacks, what is out of reach."""

import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

__all__ = ["BUSY", "OF_THE_DISK", "PASSING", "is_full", "kind_of", "reason_of"]

BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
OF_THE_DISK = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
PASSING = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL})
"""What meets those who cannot write, for a moment, when a writer puts its log up or away."""

_LITTLE = 1 << 18  # bytes that a disk which is full may have left
_OUT_OF_REACH = (
    "cannot be read safely here: a log belongs to it that is out of reach or was never finished. Open it once where it "
    "can be written, as by `lamlam kb stats`, or open the folder that holds its log"
)


def kind_of(error: Exception) -> int | None:
    """Return SQLite's code for what went wrong, without its details; None for an error that isn't the database's."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def reason_of(error: Exception, file: Path, *, writable: bool, otherwise: str) -> str:
    """Return what is wrong with a file; `otherwise` introduces SQLite's own words."""
    kind = kind_of(error)
    if kind == sqlite3.SQLITE_NOTADB:
        return "is not a knowledge base"
    if kind in BUSY:
        return "is being written to by another program"
    if kind == sqlite3.SQLITE_FULL or (kind in OF_THE_DISK and is_full(file.parent)):
        return "cannot be written: the disk is full"
    if not writable and kind in PASSING:
        return _OUT_OF_REACH
    if kind == sqlite3.SQLITE_READONLY:
        return "is read-only"
    return f"{'cannot be read or written' if kind in OF_THE_DISK else otherwise}: {error}"


def is_full(folder: Path) -> bool:
    """Whether the disk that holds a folder has hardly any room left."""
    with suppress(OSError):
        return shutil.disk_usage(folder).free < _LITTLE
    return False
