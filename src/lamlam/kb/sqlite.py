"""The SQLite file under a knowledge base: its tables, erasing for good, and replacing the file.

Opening, statements and transactions are left to `kb.sqlite_connection`; finding free bytes and what must be gone to
`kb.scan`.
"""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from lamlam.errors import StoreError
from lamlam.files import sync_folder
from lamlam.kb.scan import Scan, blank_free_bytes, search
from lamlam.kb.schema import INDEXES, TABLES
from lamlam.kb.sqlite_connection import LOG_AWAY, WAIT_SECONDS, SQLiteConnection, is_full, tried

__all__ = ["BESIDE", "SQLiteDatabase"]

_CHUNK = 1 << 24
_SIDE = ".import"  # where a bulk import builds
_LOGS = ("-wal", "-journal", _SIDE, f"{_SIDE}-wal", f"{_SIDE}-journal")
BESIDE = (*_LOGS, "-shm", f"{_SIDE}-shm")
"""The endings of the names of what is kept beside a knowledge base's file."""
_SCHEMA = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'"
# In a file that is to be replaced: whoever waits for it must not write into it. Little is written, so that it all waits
# in memory until it is committed, when the file is no longer at its path.
_CONDEMN = "ALTER TABLE fact RENAME TO gone"


class SQLiteDatabase(SQLiteConnection):
    """A knowledge base in a file, or in memory."""

    # Tables

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], last_id: int | None) -> None:
        self.run("PRAGMA defer_foreign_keys = ON")  # rows may point at later ones
        self.many(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({','.join('?' * len(columns))})", rows)
        if last_id and self.one("SELECT 1 FROM sqlite_master WHERE name = ? AND instr(sql, 'AUTOINCREMENT')", (table,)):
            self.run("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            self.run("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last_id))

    def last_id(self, table: str) -> int:
        counted = self.scalar("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        return int(counted or self.scalar(f"SELECT max(id) FROM {table}") or 0)

    def size(self) -> int:
        return int(self.scalar("PRAGMA page_count") * self.scalar("PRAGMA page_size"))

    def faults(self) -> Iterator[str]:
        yield from (f"the file is damaged: {row[0]}" for row in self.rows("PRAGMA integrity_check") if row[0] != "ok")
        broken = self.rows("PRAGMA foreign_key_check")
        if broken:
            yield f"{len(broken)} rows point at rows that do not exist"
        with closing(sqlite3.connect(":memory:")) as fresh:
            fresh.executescript(f"{TABLES} {'; '.join(INDEXES.values())};")
            expected = dict(fresh.execute(_SCHEMA))
        there = dict(self.rows(_SCHEMA))
        for name in expected.keys() | there.keys():
            if expected.get(name) != there.get(name):
                yield f"{name} is not a table or index of this version of the schema"

    def is_blank(self) -> bool:
        """Whether nothing was ever written."""
        return not any(self.one(f"SELECT 1 FROM {table} LIMIT 1") for table in ("revision", "fact", "tombstone"))

    # Erasing

    def settle(self) -> None:
        if not self.writable:
            raise StoreError(self.path, "is read-only")
        self._keep_log()
        if self.path is not None and not self._logged:
            full = is_full(self._place.parent)
            reason = "cannot be written: the disk is full" if full else "is being read by another program"
            raise StoreError(self.path, reason)
        with self._reporting_files():
            self._discard_import()
        self.empty_log()
        self.run("PRAGMA wal_autocheckpoint = 0")

    def digest(self) -> str:
        """Return the SHA-256 of the file as it is on disk: what is in the log alone doesn't count."""
        digest = hashlib.sha256()
        with self._reporting_files():
            for chunk in self._chunks(self._place if self.path else None):
                digest.update(chunk)
        return digest.hexdigest()

    def erase(self, strings: Iterable[str]) -> Scan:
        """Overwrite what deleted rows left in the file, empty the log, and search all files for `strings`.

        The rows were deleted under `secure_delete`, but pages keep copies of what was moved within them: all free bytes
        are blanked. What the search then finds in the file belongs to a row.
        """
        finished = self.finish_erasing()
        with self._reporting_files():
            files = self._files()
            return search(files, strings, rows_only=list(files)[:1] if finished else ())

    def finish_erasing(self) -> bool:
        """Empty the log and blank the free bytes of every page; return False while another program's reading prevents
        it.

        The mark "erasing" stays until it is done, and the next opening makes up for it.
        """
        if self.path is None:
            self.run("VACUUM")
            self.run("DELETE FROM meta WHERE key = 'erasing'")
            return True
        with self._reporting_files():
            if not tried(self._blank):
                return False
        self._reconnect()  # the cache holds pages as they were
        self._keep_log()
        return self.empty_log()

    def _blank(self) -> bool:
        """Blank all free bytes; return False if another program wrote, or reads, since the log was emptied."""
        if not self.empty_log():
            return False
        with self.transaction():
            # With the log empty and the right to write held, nobody changes the file.
            if not self._log_is_empty():
                return False
            blank_free_bytes(self._bytes)
            if blank_free_bytes(self._bytes):
                raise StoreError(self.path, "is being changed by something that is no database")
            self.run("DELETE FROM meta WHERE key = 'erasing'")
        return True

    def _discard_import(self) -> None:
        """Remove the file of an import that was given up: it contains facts, and cannot continue."""
        if self.path is not None and self.one("SELECT 1 FROM revision LIMIT 1"):
            for ending in (ending for ending in BESIDE if ending.startswith(_SIDE)):
                self._beside(ending).unlink(missing_ok=True)

    def _files(self) -> dict[str, Iterator[bytes]]:
        """Return the knowledge base's files by name, each in chunks."""
        if self.path is None:
            return {":memory:": iter([self.serialized()])}
        beside = map(self._beside, _LOGS)
        return {path.name: self._chunks(path) for path in (self._place, *beside) if path.exists()}

    def _chunks(self, path: Path | None) -> Iterator[bytes]:
        if path is None:
            yield self.serialized()
        elif path == self._place:
            at, file = 0, self._bytes
            while file.seek(at) == at and (chunk := file.read(_CHUNK)):
                yield chunk
                at += len(chunk)
        else:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk

    def serialized(self) -> bytes:
        """Return the bytes that the file would have; for a database in memory."""
        return self._connection.serialize()

    def back_up(self, path: Path) -> None:
        """Copy the file as it is, with what is in the log, to a path where there is none."""
        with self._reporting(), closing(sqlite3.connect(path)) as target:
            self._patient(lambda: self._connection.backup(target))

    # Replacing

    def take_alone(self, *, written: bool = False) -> bool:
        """Lock everyone out, for `replacement`; return False if another connection has the file open, or, unless
        `written` allows that, something was ever written into it."""
        if self._held is None or not self.writable or self._connection.in_transaction:
            return False
        if self._held.take() and self._lock_others_out() and (written or self.is_blank()):
            return True
        if self._connection.in_transaction:
            self.run("ROLLBACK")
        self._hold()
        return False

    def _lock_others_out(self) -> bool:
        """Whether no other connection uses the file, not even from a program that knows nothing of holding files."""
        with suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA busy_timeout = 0")
            # A log on disk would outlive the file that it belongs to, and be applied to the one that replaces it.
            self._connection.execute(LOG_AWAY)
            self._reconnect()  # what others wrote to the log, SQLite does not look for in its cache after that
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._connection.execute(LOG_AWAY)
            self._connection.execute("BEGIN EXCLUSIVE")
        self._connection.execute(f"PRAGMA busy_timeout = {int(WAIT_SECONDS * 1000)}")
        mode = self._connection.execute("PRAGMA journal_mode").fetchone()[0]
        return self._connection.in_transaction and mode == "memory" and not self.broken

    @contextmanager
    def replacement(self) -> Iterator[Path]:
        """Yield a path beside the file; the database that the block makes there replaces the file when the block
        succeeds.

        Call `take_alone` first. Nobody else can use the file meanwhile. Its settings (`meta`) stay.
        """
        assert self.path is not None
        try:
            file, side = self._place.resolve(), self._beside(_SIDE)  # a link stays one
            yield side
            with self._reporting_files():
                self._hand_over(side, file)
        except BaseException:
            self._give_up()
            raise
        made = self.made
        self.close()
        self._open()
        self.made = made

    def _hand_over(self, side: Path, file: Path) -> None:
        settings = self.rows("SELECT key, value FROM meta")
        with closing(sqlite3.connect(side, isolation_level=None)) as new:
            new.execute("PRAGMA synchronous = FULL")
            new.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", settings)
        shutil.copymode(file, side)
        self.run(_CONDEMN)
        os.replace(side, file)
        sync_folder(file.parent)
        self.run("COMMIT")

    def _give_up(self) -> None:
        """Let others have the file, and hold it again at the next use."""
        assert self._held is not None
        self._reconnect()
        self._held.let_go()
        self._holds = False

    def take_back(self) -> None:
        """Remove the file if this connection made it, nobody wrote into it, and nobody else has it open."""
        if not self.made or not self.take_alone():
            return
        self.run(_CONDEMN)
        with suppress(OSError):  # Windows keeps what is open
            self._place.resolve().unlink(missing_ok=True)
            self.run("COMMIT")
        if self._connection.in_transaction:
            self.run("ROLLBACK")
