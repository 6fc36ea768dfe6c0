"""A connection to an SQLite file: open and hold it, run statements, keep the log.

From the first write on, SQLite keeps a log beside the file (WAL), and readers and writers don't wait for each other.
The last connection to close moves the log into the file: a file at rest is complete, isn't changed by being read, and
can be read where nothing can be written, by readers who see what is written elsewhere meanwhile. A connection whose
file was removed or replaced refuses to continue.

Where a file may be is left to `kb.place`; erasing for good and replacing the file to `kb.sqlite`.
"""

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
from lamlam.kb.database import Database, Parameters
from lamlam.kb.place import HeldFile, check_place, identity
from lamlam.kb.schema import APPLICATION_ID, INDEXES, TABLES, VERSION

__all__ = ["LOG_AWAY", "WAIT_SECONDS", "SQLiteConnection", "is_full", "kind_of", "tried"]

WAIT_SECONDS = 10.0
_PASSING_SECONDS = 5.0
_PAUSE_SECONDS = 0.01
_CACHE_KIB = 64 * 1024
_FAULTS = (sqlite3.Error, UnicodeEncodeError, OverflowError)
_APPLICATION_ID_AT = 68  # in the header
_Result = TypeVar("_Result")
LOG_AWAY = "PRAGMA journal_mode = MEMORY"
"""Moves the log into the file, without a file for the change of mode; used before closing or locking only."""

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_OF_THE_DISK = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_PASSING = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL})
"""What meets those who cannot write, for a moment, when a writer puts its log up or away."""

_LITTLE = 1 << 18  # bytes that a disk which is full may have left
_OUT_OF_REACH = (
    "cannot be read safely here: a log belongs to it that is out of reach or was never finished. Open it once where it "
    "can be written, as by `lamlam kb stats`, or open the folder that holds its log"
)


class SQLiteConnection(Database):
    """A connection to a file, or to a database in memory; for the thread that opened it only.

    Every statement goes through it, and SQLite's errors become `LamLamError`.
    """

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
                other.execute(LOG_AWAY)
        if self._held is not None:
            self._held.close()
        self._held, self._holds, self._logged = None, False, False

    # Statements

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._check_same()
        with self._reporting():
            self._connection.executemany(sql, rows)

    def stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        self.expect_writes()  # it may take long
        with self._reporting():
            yield from self._execute(sql, parameters)

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
                deadline = deadline or time.monotonic() + min(_PASSING_SECONDS, WAIT_SECONDS)
                if self.writable or kind_of(error) not in _PASSING or time.monotonic() >= deadline:
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
        if not tried(lambda: held.share() or not held.in_place):
            raise StoreError(self.path, "is being written to by another program")
        self._holds = True

    def expect_writes(self) -> None:
        self._keep_log()

    def _began(self) -> None:
        self._check_same()  # it may have been replaced while this waited for others' writing

    def _in_transaction(self) -> bool:
        return self._connection.in_transaction

    # Opening

    def _open(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
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
        return sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS, isolation_level=None, cached_statements=512)

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
            if kind_of(error) in _OF_THE_DISK and not self._lost_its_log(error):
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
            execute(LOG_AWAY)
        except sqlite3.Error as error:
            return kind_of(error) != sqlite3.SQLITE_ERROR
        return True

    def empty_log(self) -> bool:
        """Move the write-ahead log into the file and truncate it; return False while another program reads.

        SQLite waits for readers and writers, but not for another program that empties the log as well.
        """
        return tried(lambda: not self.scalar("PRAGMA wal_checkpoint(TRUNCATE)"))

    def _log_is_empty(self) -> bool:
        log = self._beside("-wal")
        return not log.exists() or log.stat().st_size == 0

    def _lost_its_log(self, error: sqlite3.Error) -> bool:
        """Whether the log could be moved into the file without the memory that its users share, for which a full disk
        has no room; this reconnects."""
        if not self.writable or kind_of(error) not in _OF_THE_DISK or not self._is_ours():
            return False
        self._connection.close()
        try:
            with closing(self._connect()) as alone:
                alone.execute("PRAGMA locking_mode = EXCLUSIVE")
                alone.execute(LOG_AWAY)
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

    # Files

    def _beside(self, ending: str) -> Path:
        """Return the path of what SQLite, or an import, keeps beside the file; if the path is a link, beside its
        target."""
        file = self._place.resolve()
        return file.with_name(file.name + ending)

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


def tried(act: Callable[[], bool]) -> bool:
    """Try again until it is done, for as long as SQLite waits for a lock; return whether it was done."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not act():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def kind_of(error: Exception) -> int | None:
    """Return SQLite's code for what went wrong, without its details; None for an error that isn't the database's."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def reason_of(error: Exception, file: Path, *, writable: bool, otherwise: str) -> str:
    """Return what is wrong with a file; `otherwise` introduces SQLite's own words."""
    kind = kind_of(error)
    if kind == sqlite3.SQLITE_NOTADB:
        return "is not a knowledge base"
    if kind in _BUSY:
        return "is being written to by another program"
    if kind == sqlite3.SQLITE_FULL or (kind in _OF_THE_DISK and is_full(file.parent)):
        return "cannot be written: the disk is full"
    if not writable and kind in _PASSING:
        return _OUT_OF_REACH
    if kind == sqlite3.SQLITE_READONLY:
        return "is read-only"
    return f"{'cannot be read or written' if kind in _OF_THE_DISK else otherwise}: {error}"


def is_full(folder: Path) -> bool:
    """Whether the disk that holds a folder has hardly any room left."""
    with suppress(OSError):
        return shutil.disk_usage(folder).free < _LITTLE
    return False
