"""The SQLite file under a knowledge base: opening it, running statements, transactions, and erasing for good.

Every statement goes through `SQLiteDatabase`, which turns SQLite's errors into `LamLamError`. How free bytes are found
in a page is left to `kb.pages`, and the search for what must be gone to `kb.scan`.
"""

import hashlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lamlam.errors import InputError, LamLamError, StoreError
from lamlam.kb.database import Parameters
from lamlam.kb.pages import blank_free_bytes
from lamlam.kb.scan import Scan, search
from lamlam.kb.schema import APPLICATION_ID, INDEXES, TABLES, VERSION

__all__ = ["SQLiteDatabase"]

_WAIT_SECONDS = 10.0
_PAUSE_SECONDS = 0.01
_CACHE_KIB = 64 * 1024
_CHUNK = 1 << 24
_SIDE = ".import"  # where a bulk import builds
_LOGS = ("-wal", "-journal", _SIDE, f"{_SIDE}-wal", f"{_SIDE}-journal")
_SCHEMA = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'"
_FAULTS = (sqlite3.Error, UnicodeEncodeError, OverflowError)


class SQLiteDatabase:
    """A connection to a file, or to a database in memory; to be used by the thread that opened it."""

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        """Open the file, or make it where `create` says so; ":memory:" is a database without a file.

        Raises `InputError` when there is no such file, or it is not a knowledge base, or it is damaged.
        """
        self.path = None if str(path) == ":memory:" else Path(path)
        fresh = self.path is None or (create and _is_missing_or_empty(self.path))
        if self.path is not None:
            _check_file(self.path, fresh)
        self.writable = fresh or self.path is None or _is_writable(self.path)
        self._raw: BinaryIO | None = None
        try:
            self._connection = self._connect()
        except sqlite3.Error as error:
            raise InputError(f"cannot be opened: {error}", path=self.path) from error
        try:
            self._make() if fresh else self._check()
        except sqlite3.Error as error:
            self._connection.close()
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise InputError("is not a knowledge base", path=path) from error
            locked = "locked" in str(error)
            reason = "is being written to by another program" if locked else f"is damaged: {error}"
            raise InputError(reason, path=self.path) from error
        except InputError:
            self._connection.close()
            raise

    @property
    def broken(self) -> bool:
        return False

    def close(self) -> None:
        self._connection.close()
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    # Statements

    def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except _FAULTS as error:
            raise self._told(error) from error

    def one(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._connection.execute(sql, parameters).fetchone()
        except _FAULTS as error:
            raise self._told(error) from error
        return row

    def scalar(self, sql: str, parameters: Parameters = ()) -> Any:
        row = self.one(sql, parameters)
        return row[0] if row else None

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        try:
            return self._connection.execute(sql, parameters).rowcount
        except _FAULTS as error:
            raise self._told(error) from error

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            self._connection.executemany(sql, rows)
        except _FAULTS as error:
            raise self._told(error) from error

    def stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(sql, parameters)
        except _FAULTS as error:
            raise self._told(error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if not self.writable:
            raise StoreError(self.path, "is read-only")
        nested = self._connection.in_transaction
        self.run("SAVEPOINT call" if nested else "BEGIN IMMEDIATE")
        try:
            yield
            self.run("RELEASE call" if nested else "COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                for statement in ("ROLLBACK TO call", "RELEASE call") if nested else ("ROLLBACK",):
                    self.run(statement)
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        if self._connection.in_transaction:
            yield
            return
        self.run("BEGIN")
        try:
            yield
        finally:
            if self._connection.in_transaction:
                self.run("COMMIT")

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
                yield f"{name} is no table or index of this version of the schema"

    # Erasing

    def settle(self) -> None:
        self._discard_import()
        self.empty_log()
        self.run("PRAGMA wal_autocheckpoint = 0")

    def digest(self) -> str:
        """SHA-256 of the file as it is on disk: what still stands in the log alone is not in it."""
        digest = hashlib.sha256()
        for chunk in self._chunks(self.path):
            digest.update(chunk)
        return digest.hexdigest()

    def erased(self) -> bool:
        return self.scalar("SELECT 1 FROM meta WHERE key = 'erasing'") is None

    def erase(self, strings: Iterable[str]) -> Scan:
        """Overwrite what deleted rows left in the file, empty the log, and search all files for `strings`.

        The rows were deleted under `secure_delete`, but pages keep copies of what was moved within them: all free bytes
        are blanked. What is then found in the file stands in a row.
        """
        finished = self.finish_erasing()
        files = self._files()
        return search(files, strings, rows_only=list(files)[:1] if finished else ())

    def finish_erasing(self) -> bool:
        """Empty the log and blank the free bytes of every page; False while another program's reading prevents it.

        The mark "erasing" stays until it is done, and the next opening makes up for it.
        """
        if self.path is None:
            self.run("VACUUM")
            self.run("DELETE FROM meta WHERE key = 'erasing'")
            return True
        if not _tried(self._blank):
            return False
        self._connection.close()  # its cache holds pages as they were
        self._connection = self._connect()
        self._configure()
        return self.empty_log()

    def _blank(self) -> bool:
        """Blank all free bytes; False where another program wrote, or reads, since the log was emptied."""
        if not self.empty_log():
            return False
        with self.transaction():
            # With the log empty and the right to write held, nobody changes the file.
            if not self._log_is_empty():
                return False
            blank_free_bytes(self._file())
            if blank_free_bytes(self._file()):
                raise StoreError(self.path, "is being changed by something that is no database")
            self.run("DELETE FROM meta WHERE key = 'erasing'")
        return True

    def empty_log(self) -> bool:
        """Move the write-ahead log into the file and cut it to nothing; False while another program reads.

        SQLite waits for readers and writers, but not for another program that empties the log as well.
        """
        return _tried(lambda: not self.scalar("PRAGMA wal_checkpoint(TRUNCATE)"))

    def serialized(self) -> bytes:
        """The database as the bytes of its file; for one that has no file."""
        return self._connection.serialize()

    # Replacing

    def take_alone(self) -> bool:
        """Prepare for `replacement`; False where another connection has the file open."""
        try:
            self._connection.execute("PRAGMA busy_timeout = 0")
            # A log on disk would outlive the file that it belongs to, and be applied to the one that replaces it.
            self._connection.execute("PRAGMA journal_mode = MEMORY")
        except sqlite3.OperationalError:
            return False
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {int(_WAIT_SECONDS * 1000)}")
        return True

    @contextmanager
    def replacement(self) -> Iterator[Path]:
        """A path beside the file; the database that the block makes there takes the file's place when it ends well.

        To be called after `take_alone`. Nobody else can use the file meanwhile. Its settings (`meta`) stay.
        """
        assert self.path is not None
        try:
            self.run("BEGIN EXCLUSIVE")
            file = self.path.resolve()  # a link stays one
            side = file.with_name(file.name + _SIDE)
            yield side
            self._hand_over(side, file)
        finally:
            self.close()
            self._connection = self._connect()
            self._configure()

    def _discard_import(self) -> None:
        """Remove the file of an import that was given up: it holds facts, and can go on no more."""
        if self.path is not None and self.one("SELECT 1 FROM revision LIMIT 1"):
            file = self.path.resolve()
            for ending in (_SIDE, f"{_SIDE}-wal", f"{_SIDE}-journal", f"{_SIDE}-shm"):
                file.with_name(file.name + ending).unlink(missing_ok=True)

    def _hand_over(self, side: Path, file: Path) -> None:
        settings = self.rows("SELECT key, value FROM meta")
        with closing(sqlite3.connect(side, isolation_level=None)) as new:
            new.execute("PRAGMA synchronous = FULL")
            new.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", settings)
        shutil.copymode(file, side)
        self.run("DROP TABLE fact")  # whoever waits for the old file must not write into it
        os.replace(side, file)
        folder = os.open(file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self.run("COMMIT")

    def _log_is_empty(self) -> bool:
        assert self.path is not None
        log = self.path.with_name(self.path.name + "-wal")
        return not log.exists() or log.stat().st_size == 0

    def _files(self) -> dict[str, Iterator[bytes]]:
        """The knowledge base's files by name, each in chunks."""
        if self.path is None:
            return {":memory:": iter([self.serialized()])}
        beside = (self.path.with_name(self.path.name + ending) for ending in _LOGS)
        return {path.name: self._chunks(path) for path in (self.path, *beside) if path.exists()}

    def _chunks(self, path: Path | None) -> Iterator[bytes]:
        if path is None:
            yield self.serialized()
        elif path == self.path:
            at = 0
            while chunk := os.pread(self._file().fileno(), _CHUNK, at):
                yield chunk
                at += len(chunk)
        else:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk

    def _file(self) -> BinaryIO:
        """The file's bytes. Kept open: closing it would release the locks that SQLite holds in this process."""
        if self._raw is None:
            assert self.path is not None
            self._raw = self.path.open("r+b" if self.writable else "rb", buffering=0)
        assert self._raw is not None
        return self._raw

    # Opening

    def _connect(self) -> sqlite3.Connection:
        if self.path is None:
            return sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
        uri = self.path.absolute().as_uri() + ("?mode=rwc" if self.writable else "?mode=ro&immutable=1")
        return sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None, cached_statements=512)

    def _make(self) -> None:
        key = f"INSERT INTO meta VALUES ('tombstone_key', x'{secrets.token_hex(32)}');"
        self._connection.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
            f"{TABLES} {'; '.join(INDEXES.values())}; {key} COMMIT;"
        )
        self._configure()

    def _check(self) -> None:
        execute = self._connection.execute
        if execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise InputError("is an SQLite file, but not a knowledge base", path=self.path)
        version = execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise InputError(f"has schema version {version}, this program reads {VERSION}", path=self.path)
        for table in ("fact", "entity", "relation", "source", "tombstone", "revision", "meta"):
            execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
        self._configure()
        if self.writable and not self.erased():
            self.finish_erasing()

    def _configure(self) -> None:
        """`secure_delete` overwrites what is deleted with zeros, at once."""
        pragmas = ("foreign_keys = ON", "secure_delete = ON", "synchronous = NORMAL", "temp_store = MEMORY")
        if self.path is not None and self.writable:
            self._connection.execute("PRAGMA journal_mode = WAL")  # again, where a bulk import was killed
        for pragma in (*pragmas, f"cache_size = -{_CACHE_KIB}"):
            self._connection.execute(f"PRAGMA {pragma}")

    def _told(self, error: Exception) -> LamLamError:
        if isinstance(error, UnicodeEncodeError):
            return InputError("a text holds a lone surrogate, which is not valid Unicode")
        if isinstance(error, OverflowError):
            return InputError("a number is too large")
        name = self.path or "the knowledge base"
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            return StoreError(name, "is being written to by another program")
        if isinstance(error, sqlite3.ProgrammingError):
            return StoreError(name, f"cannot be used so: {error}")
        return StoreError(name, f"is damaged or cannot be written: {error}")


def _tried(act: Callable[[], bool]) -> bool:
    """Whether it was done at last: tried again for as long as SQLite waits for a lock."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not act():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def _is_missing_or_empty(path: Path) -> bool:
    return not path.exists() or (path.is_file() and path.stat().st_size == 0)


def _is_writable(path: Path) -> bool:
    """SQLite writes a log beside the file, so that its folder counts as well."""
    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)


def _check_file(path: Path, fresh: bool) -> None:
    """Refuse what is plainly no knowledge base before SQLite touches it.

    The file is not opened for it: closing it would release the locks that SQLite holds in this process, and the next
    program to close the file would take the log away from under it.
    """
    if fresh:
        if not path.absolute().parent.is_dir():
            raise InputError("its folder does not exist", path=path)
        return
    if not path.exists():
        raise InputError("no such knowledge base", path=path)
    if not path.is_file():
        raise InputError("is not a file", path=path)
