"""The SQLite file under a knowledge base: open it, run statements and transactions, and erase for good.

From the first write on, SQLite keeps a log beside the file (WAL), and readers and writers don't wait for each other.
The last connection to close moves the log into the file: a file at rest is complete, isn't changed by being read, and
can be read where nothing can be written, by readers who see what is written elsewhere meanwhile. A connection whose
file was removed or replaced refuses to continue.

Every statement goes through `SQLiteDatabase`, which turns SQLite's errors into `LamLamError`. Where a file may be is
left to `kb.place`, finding free bytes and what must be gone to `kb.scan`.
"""

import hashlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from lamlam.errors import InputError, LamLamError, StoreError
from lamlam.files import sync_folder
from lamlam.kb.database import Database, Parameters
from lamlam.kb.place import HeldFile, check_place, identity
from lamlam.kb.scan import Scan, blank_free_bytes, search
from lamlam.kb.schema import APPLICATION_ID, INDEXES, TABLES, VERSION
from lamlam.kb.sqlite_faults import OF_THE_DISK, PASSING, is_full, kind_of, reason_of

__all__ = ["BESIDE", "SQLiteDatabase"]

_WAIT_SECONDS = 10.0
_PASSING_SECONDS = 5.0
_PAUSE_SECONDS = 0.01
_CACHE_KIB = 64 * 1024
_CHUNK = 1 << 24
_SIDE = ".import"  # where a bulk import builds
_LOGS = ("-wal", "-journal", _SIDE, f"{_SIDE}-wal", f"{_SIDE}-journal")
BESIDE = (*_LOGS, "-shm", f"{_SIDE}-shm")
"""The endings of the names of what is kept beside a knowledge base's file."""

_SCHEMA = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'"
_FAULTS = (sqlite3.Error, UnicodeEncodeError, OverflowError)
_APPLICATION_ID_AT = 68  # in the header
_LOG_AWAY = "PRAGMA journal_mode = MEMORY"  # no file for the change of mode itself; only ever before closing, or a lock
# In a file that is to be replaced: whoever waits for it must not write into it. Little is written, so that it all waits
# in memory until it is committed, when the file is no longer at its path.
_CONDEMN = "ALTER TABLE fact RENAME TO gone"
_Result = TypeVar("_Result")


class SQLiteDatabase(Database):
    """A connection to a file, or to a database in memory; for the thread that opened it only."""

    _faults = _FAULTS
    _begin, _begin_reading = "BEGIN IMMEDIATE", "BEGIN"

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        """Open the file, or make it with `create`; ":memory:" is a database without a file.

        Raises `InputError` if the file is missing, damaged, no knowledge base, or in a place where others' changes
        could not be seen.
        """
        self.path = None if str(path) == ":memory:" else Path(path)
        self.name = self.path or "the knowledge base"
        self.made = False  # whether this connection made the file
        self.writable = True
        self._place = Path(path).absolute()  # whatever the working folder is later
        self._file_name = os.fspath(self._place)
        self._create = create
        self._logged = False  # whether SQLite keeps a log for this connection
        self._held: HeldFile | None = None
        self._holds = False
        self._connection: sqlite3.Connection = None  # type: ignore[assignment] # until it is open
        self._open()

    @property
    def broken(self) -> bool:
        """Whether another file, or none, is at the path by now."""
        return self._held is not None and not self._held.in_place

    def close(self) -> None:
        # Where another file is at the path, the log is that file's.
        again = self.writable and self._holds and not self.broken and not self._put_log_away()
        self._connection.close()
        if again:  # a statement that was never read to its end kept the log in use
            with suppress(sqlite3.Error), closing(self._connect()) as other:
                other.execute(_LOG_AWAY)
        if self._held is not None:
            self._held.close()
        self._held, self._holds, self._logged = None, False, False

    # Statements

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._check_same()
        try:
            self._connection.executemany(sql, rows)
        except _FAULTS as error:
            raise self._reported(error) from error

    def stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        self.expect_writes()  # it may take long
        try:
            yield from self._execute(sql, parameters)
        except _FAULTS as error:
            raise self._reported(error) from error

    def _execute(self, sql: str, parameters: Parameters) -> sqlite3.Cursor:
        if not self._connection.in_transaction:
            self._check_same()
        if self.writable:
            return self._connection.execute(sql, parameters)
        return self._patient(lambda: self._connection.execute(sql, parameters))

    def _patient(self, act: Callable[[], _Result]) -> _Result:
        """Return what `act` returns. Writers elsewhere move their log in or out at times, and for that moment a file
        that cannot be written here cannot be read either: then try again for a while."""
        deadline = None
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                deadline = deadline or time.monotonic() + min(_PASSING_SECONDS, _WAIT_SECONDS)
                if self.writable or kind_of(error) not in PASSING or time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def _check_same(self) -> None:
        """Refuse a file that was replaced: what was erased in the new one is still in the old one."""
        if self._held is None:
            return
        if not self._holds:
            self._hold()
        if (now := identity(self._file_name)) != self._held.identity:
            reason = "was removed since it was opened" if now is None else "was replaced since it was opened"
            raise StoreError(self.path, f"{reason}: open it again")

    def _hold(self) -> None:
        """Keep others from replacing or removing the file; whoever waits for a file that was replaced notices
        at once."""
        held = self._held
        assert held is not None
        if not _tried(lambda: held.share() or not held.in_place):
            raise StoreError(self.path, "is being written to by another program")
        self._holds = True

    def expect_writes(self) -> None:
        self._keep_log()

    def _began(self) -> None:
        self._check_same()  # it may have been replaced while this waited for others' writing

    def _in_transaction(self) -> bool:
        return self._connection.in_transaction

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
            if not _tried(self._blank):
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

    def empty_log(self) -> bool:
        """Move the write-ahead log into the file and truncate it; return False while another program reads.

        SQLite waits for readers and writers, but not for another program that empties the log as well.
        """
        return _tried(lambda: not self.scalar("PRAGMA wal_checkpoint(TRUNCATE)"))

    def serialized(self) -> bytes:
        """Return the bytes that the file would have; for a database in memory."""
        return self._connection.serialize()

    def back_up(self, path: Path) -> None:
        """Copy the file as it is, with what is in the log, to a path where there is none."""
        try:
            with closing(sqlite3.connect(path)) as target:
                self._patient(lambda: self._connection.backup(target))
        except sqlite3.Error as error:
            raise self._reported(error) from error

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
            self._connection.execute(_LOG_AWAY)
            self._reconnect()  # what others wrote to the log, SQLite does not look for in its cache after that
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._connection.execute(_LOG_AWAY)
            self._connection.execute("BEGIN EXCLUSIVE")
        self._connection.execute(f"PRAGMA busy_timeout = {int(_WAIT_SECONDS * 1000)}")
        mode = self._connection.execute("PRAGMA journal_mode").fetchone()[0]
        return self._connection.in_transaction and mode == "memory" and not self.broken

    def is_blank(self) -> bool:
        """Whether nothing was ever written."""
        return not any(self.one(f"SELECT 1 FROM {table} LIMIT 1") for table in ("revision", "fact", "tombstone"))

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

    def _discard_import(self) -> None:
        """Remove the file of an import that was given up: it contains facts, and cannot continue."""
        if self.path is not None and self.one("SELECT 1 FROM revision LIMIT 1"):
            for ending in (ending for ending in BESIDE if ending.startswith(_SIDE)):
                self._beside(ending).unlink(missing_ok=True)

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

    def _log_is_empty(self) -> bool:
        log = self._beside("-wal")
        return not log.exists() or log.stat().st_size == 0

    def _beside(self, ending: str) -> Path:
        """Return the path of what SQLite, or an import, keeps beside the file; if the path is a link, beside its
        target."""
        file = self._place.resolve()
        return file.with_name(file.name + ending)

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

    @property
    def _bytes(self) -> BinaryIO:
        assert self._held is not None
        return self._held.bytes

    @contextmanager
    def _reporting_files(self) -> Iterator[None]:
        """Report faults of the system while files are read and written."""
        try:
            yield
        except OSError as error:
            raise StoreError(self.path, f"cannot be read or written: {error.strerror}") from error

    # Opening

    def _open(self) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        while not self._opened():
            if time.monotonic() >= deadline:
                raise InputError("is being replaced again and again by another program", path=self.path)
            time.sleep(_PAUSE_SECONDS)
        self._create = False  # from now on only an existing file will do

    def _opened(self) -> bool:
        """Open what is at the path, or make it; return False if it was removed or replaced meanwhile."""
        if self.path is None:
            self._connection = self._connect()
            self._make()
            self._configure()
            return True
        self.writable = check_place(self.path, create=self._create)
        try:
            self._held = HeldFile(self._place, writable=self.writable, create=self._create)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise InputError(f"cannot be opened ({error.strerror})", path=self.path) from error
        try:
            self._connection = self._connect()  # which reads nothing yet
            self._hold()
            if not self.broken:
                self._prepare()
                return True
        except (sqlite3.Error, LamLamError) as error:
            if not self.broken:
                self._remove_empty()
                self._drop()
                raise self._refusal(error) from error
        except BaseException:
            self._remove_empty()
            self._drop()
            raise
        self._drop()
        return False

    def _drop(self) -> None:
        """Close what could not be opened."""
        assert self._held is not None
        if self._connection is not None:
            self._connection.close()
        self._held.close()
        self._held, self._holds, self._logged = None, False, False

    def _remove_empty(self) -> None:
        """Remove a file that this connection made, if it is still empty."""
        assert self._held is not None
        if self._held.created and self._held.take() and not os.fstat(self._bytes.fileno()).st_size and not self.broken:
            with suppress(OSError):
                self._place.unlink()

    def _connect(self) -> sqlite3.Connection:
        if self.path is None:
            return sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
        # Without `readonly_shm` a reader would make an index of a log that is elsewhere, or that writers then lack.
        uri = f"{self._place.as_uri()}?mode={'rw' if self.writable else 'ro&readonly_shm=1'}"
        return sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None, cached_statements=512)

    def _reconnect(self) -> None:
        self._connection.close()
        self._logged = False
        self._connection = self._connect()
        self._configure()

    def _prepare(self) -> None:
        """Make the file a knowledge base, with `create`, or check that it is one."""
        self._configure()
        try:
            self._make_or_check()
        except sqlite3.OperationalError as error:
            if not self._lost_its_log(error):
                raise
            self._make_or_check()
        if self.writable and not self.erased():
            with suppress(StoreError):  # the rows are gone, the file can follow later; `verify` reports it
                self.finish_erasing()

    def _make_or_check(self) -> None:
        execute = self._connection.execute
        if self._create and execute("PRAGMA page_count").fetchone()[0] == 0:
            self._make()
        self._patient(self._check)

    def _make(self) -> None:
        """Make the tables in one transaction, which finds out whether another program was faster; a kill leaves all or
        nothing."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            if execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None:
                for pragma in (f"application_id = {APPLICATION_ID}", f"user_version = {VERSION}"):
                    execute(f"PRAGMA {pragma}")
                for statement in (*filter(str.strip, TABLES.split(";")), *INDEXES.values()):
                    execute(statement)
                execute("INSERT INTO meta VALUES ('tombstone_key', ?)", (secrets.token_bytes(32),))
                self.made = True
            execute("COMMIT")
        except BaseException:
            self.made = False
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def _check(self) -> None:
        execute = self._connection.execute
        if execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise InputError("is an SQLite file, but not a knowledge base", path=self.path)
        version = execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise InputError(f"has schema version {version}, this program reads {VERSION}", path=self.path)
        for table in ("fact", "entity", "relation", "source", "tombstone", "revision", "meta"):
            execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()

    def _configure(self) -> None:
        """Set the connection up; `secure_delete` overwrites what is deleted with zeros, at once."""
        pragmas = ("foreign_keys = ON", "secure_delete = ON", "synchronous = NORMAL", "temp_store = MEMORY")
        for pragma in (*pragmas, f"cache_size = -{_CACHE_KIB}"):
            self._connection.execute(f"PRAGMA {pragma}")

    # The log

    def _keep_log(self) -> None:
        """Have SQLite keep a log, and count this connection as one that uses it. If somebody reads meanwhile, this
        connection included, or the disk is full, there is none for now."""
        if self.path is None or not self.writable or self._logged or self._connection.in_transaction:
            return
        execute = self._connection.execute
        try:
            if execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                # One number in the header changes, by one write: neither a journal nor waiting for the disk is needed.
                for pragma in ("synchronous = OFF", "journal_mode = MEMORY", "journal_mode = WAL"):
                    execute(f"PRAGMA {pragma}")
            execute("SELECT 1 FROM meta").fetchone()
            self._logged = execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        except sqlite3.OperationalError as error:
            if kind_of(error) in OF_THE_DISK and not self._lost_its_log(error):
                raise
        finally:
            execute = self._connection.execute
            if execute("PRAGMA journal_mode").fetchone()[0] == "memory":
                execute("PRAGMA journal_mode = DELETE")
            execute("PRAGMA synchronous = NORMAL")

    def _put_log_away(self) -> bool:
        """Move the log into the file, which is complete then; if others have it open, they do it."""
        execute = self._connection.execute
        try:
            execute("PRAGMA busy_timeout = 0")
            if execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                return True
            if self._log_is_empty():
                execute("PRAGMA synchronous = OFF")
            execute(_LOG_AWAY)
        except sqlite3.Error as error:
            return kind_of(error) != sqlite3.SQLITE_ERROR
        return True

    def _lost_its_log(self, error: sqlite3.Error) -> bool:
        """Whether the log could be moved into the file without the memory that its users share, for which a full disk
        has no room; this reconnects."""
        if not self.writable or kind_of(error) not in OF_THE_DISK or not self._is_ours():
            return False
        self._connection.close()
        try:
            with closing(self._connect()) as alone:
                alone.execute("PRAGMA locking_mode = EXCLUSIVE")
                alone.execute(_LOG_AWAY)
            return True
        except sqlite3.Error:
            return False
        finally:
            self._reconnect()

    def _is_ours(self) -> bool:
        """Whether the header says that it is a knowledge base."""
        with suppress(OSError):
            file = self._bytes
            file.seek(_APPLICATION_ID_AT)
            return file.read(4) == APPLICATION_ID.to_bytes(4, "big")
        return False

    # Faults

    def _refusal(self, error: Exception) -> LamLamError:
        """Return why the file cannot be opened."""
        if isinstance(error, sqlite3.Error):
            return InputError(self._reason(error, "is damaged"), path=self.path)
        if isinstance(error, StoreError):
            return InputError(error.reason, path=self.path)
        return error if isinstance(error, LamLamError) else LamLamError(str(error))

    def _reported(self, error: Exception) -> LamLamError:
        if isinstance(error, UnicodeEncodeError):
            return InputError("a text holds a lone surrogate, which is not valid Unicode")
        if isinstance(error, OverflowError):
            return InputError("a number is too large")
        if isinstance(error, sqlite3.ProgrammingError):
            return StoreError(self.name, f"cannot be used this way: {error}")
        return StoreError(self.name, self._reason(error, "is damaged or cannot be written"))

    def _reason(self, error: Exception, otherwise: str) -> str:
        return reason_of(error, self._place, writable=self.writable, otherwise=otherwise)


def _tried(act: Callable[[], bool]) -> bool:
    """Try again until it is done, for as long as SQLite waits for a lock; return whether it was done."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not act():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True
