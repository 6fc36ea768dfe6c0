"""A knowledge base in a PostgreSQL database: open it, run statements and transactions.

Every statement goes through `PostgresDatabase`, which turns psycopg's errors into `LamLamError`. The dialect is left to
`kb.schema`, and erasing for good to `kb.postgres_erasure`. psycopg is an extra, so it is imported only when a URL is
opened.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lamlam.errors import InputError, LamLamError, StoreError, needs_extra
from lamlam.kb.database import Database, Parameters
from lamlam.kb.postgres_erasure import Eraser
from lamlam.kb.scan import Scan
from lamlam.kb.schema import APPLICATION_ID, LAYOUT, VERSION, definitions, translated

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresDatabase"]

_MARK = "LamLam knowledge base, schema version "  # the comment on the table `meta`
_CONNECT_SECONDS = 10
_WRITER_SECONDS = 60  # how long to wait for another writer
_ROWS_AT_A_TIME = 2000
_WRITING = re.compile(r"\s*(INSERT|UPDATE)\b", re.IGNORECASE)
_SCHEMA = "quote_ident(current_schema())::regnamespace"
_STATE = """
    SELECT current_setting('server_encoding'), current_schema(),
    pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool
"""
_RIGHTS = """
    SELECT 'meta'::regclass::oid::bigint, has_table_privilege('fact', 'INSERT') AND
    has_table_privilege('fact', 'DELETE')
"""
_FOREIGN_KEYS = f"""
    SELECT c.conrelid::regclass::text, quote_ident(a.attname), c.confrelid::regclass::text, quote_ident(b.attname)
    FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
    WHERE c.contype = 'f' AND c.connamespace = {_SCHEMA}
"""


class PostgresDatabase(Database):
    """A connection to a server, for the thread that opened it only.

    One writes at a time, so that revisions are numbered in the order in which they are committed.
    """

    path = None
    _begin, _begin_reading = "BEGIN ISOLATION LEVEL READ COMMITTED", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def __init__(self, url: str, *, create: bool = False) -> None:
        """Open the knowledge base in the URL's database, or make its tables with `create`.

        Raises `LamLamError` if there is no such server, database or knowledge base, or psycopg is missing.
        """
        self._psycopg = _driver()
        self._faults = (self._psycopg.Error, UnicodeEncodeError)
        self._address, self.name = _parsed(url)
        self._lock = APPLICATION_ID << 32  # with the table's number, the key of what one writer holds at a time
        self._streams = 0
        self._before: psycopg.Connection | None = None
        self._connection = self._connect()
        try:
            self._check(create)
            self._eraser = Eraser(self._connection, self._lock)
            if self.writable and not self.erased():
                self.finish_erasing(patient=False)
        except BaseException:
            self.close()
            raise

    @property
    def broken(self) -> bool:
        return bool(self._connection.closed)

    def close(self) -> None:
        self._forget_before()
        self._connection.close()

    def take_back(self) -> None:
        """Leave the tables: without rows they harm nobody, and another program may be about to fill them."""

    # Statements

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._reporting():
            self._connection.cursor().executemany(translated(sql), rows)

    def stream(self, sql: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        """Read through a cursor of the server, which outlives the statements that are run in between."""
        self._streams += 1
        held = not self._in_transaction()
        with self._reporting(), self._connection.cursor(f"stream_{self._streams}", withhold=held) as cursor:
            cursor.itersize = _ROWS_AT_A_TIME
            cursor.execute(translated(sql), parameters)
            yield from cursor

    @contextmanager
    def transaction(self) -> Iterator[None]:
        nested = self._in_transaction()
        try:
            with super().transaction():
                yield
        except BaseException:
            if not nested:
                self._forget_before()
            raise

    def expect_writes(self) -> None:
        """Do nothing: readers don't block writers."""

    def _began(self) -> None:
        self.run("SELECT pg_advisory_xact_lock(?)", (self._lock,))

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], last_id: int | None) -> None:
        sql = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with self._reporting(), self._connection.cursor().copy(sql) as copy:
            for row in rows:
                copy.write_row(row)
        if last_id and (sequence := self._sequence(table)):
            self.run("SELECT setval(?, ?)", (sequence, last_id))
        self.run(f"ANALYZE {table}")

    def last_id(self, table: str) -> int:
        sequence = self._sequence(table)
        if sequence is None:
            return int(self.scalar(f"SELECT max(id) FROM {table}") or 0)
        return int(self.scalar(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"))

    def _sequence(self, table: str) -> str | None:
        sequence: str | None = self.scalar("SELECT pg_get_serial_sequence(?, 'id')", (table,))
        return sequence

    def size(self) -> int:
        return self._eraser.size()

    def faults(self) -> Iterator[str]:
        invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid AND indrelid = to_regclass(?)"
        for table in LAYOUT:
            yield from (f"the index {row[0]} is not valid" for row in self.rows(invalid, (table,)))
        broken = sum(self._dangling(*row) for row in self.rows(_FOREIGN_KEYS))
        if broken:
            yield f"{broken} rows point at rows that do not exist"

    def _dangling(self, table: str, column: str, target: str, key: str) -> int:
        sql = f"SELECT count(*) FROM {table} t WHERE t.{column} IS NOT NULL AND NOT EXISTS "
        return int(self.scalar(f"{sql} (SELECT 1 FROM {target} o WHERE o.{key} = t.{column})"))

    # Erasing

    def settle(self) -> None:
        """Keep a view of the content as it is, from which `digest` reads until `erase`."""
        self._forget_before()
        self._before = self._connect()
        self._before.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._before.execute("SELECT 1 FROM meta").fetchone()

    def digest(self) -> str:
        """Return the SHA-256 of the rows of all tables, in the order of their keys, as COPY writes them."""
        digest = hashlib.sha256()
        with self._reporting():
            for table, layout in LAYOUT.items():
                sql = f"COPY (SELECT * FROM {table} ORDER BY {', '.join(layout.key)}) TO STDOUT"
                with (self._before or self._connection).cursor().copy(sql) as copy:
                    for part in copy:
                        digest.update(part)
        return digest.hexdigest()

    def erase(self, strings: Iterable[str]) -> Scan:
        """Have the server rewrite the tables without their deleted rows, and search what it lets us read for `strings`.

        If concurrent readers block the rewrite, every string that no row holds counts as left over.
        """
        self._forget_before()
        finished = self.finish_erasing()
        try:
            return self._eraser.search(strings, finished)
        except self._faults as error:
            raise self._reported(error) from error

    def finish_erasing(self, patient: bool = True) -> bool:
        """Rewrite the tables; return False while somebody reads from before. The mark "erasing" stays until it
        is done."""
        try:
            if not self._eraser.rewrite(patient):
                return False
        except self._faults as error:
            raise self._reported(error) from error
        self.run("DELETE FROM meta WHERE key = 'erasing'")
        return True

    def _forget_before(self) -> None:
        if self._before is not None:
            self._before.close()
            self._before = None

    # Opening

    def _connect(self) -> "psycopg.Connection":
        from psycopg.types.numeric import Int8Dumper, IntLoader

        try:
            connection = self._psycopg.connect(**self._address, autocommit=True)
            # Numbers go as bigint, whatever their size, so that a statement has one plan; sums come back as they went.
            connection.adapters.register_dumper(int, Int8Dumper)
            connection.adapters.register_loader("numeric", IntLoader)
            connection.execute(f"SET lock_timeout = '{_WRITER_SECONDS}s'; SET jit = off")
        except self._psycopg.Error as error:
            raise StoreError(self.name, f"cannot be opened: {_first_line(error)}") from error
        return connection

    def _check(self, create: bool) -> None:
        """Make the tables if they are missing and may be made; refuse what is not a knowledge base."""
        encoding, schema, read_only = self.rows(_STATE)[0]
        if encoding != "UTF8":
            raise InputError(f"its encoding is {encoding}, not UTF8", path=self.name)
        if schema is None:
            raise InputError("its schema does not exist", path=self.name)
        self.writable = not read_only
        if create and self._comment() is None:
            with self.transaction():
                if self._comment() is None:  # another program may have been faster
                    self._make()
        comment = self._comment()
        if comment is None:
            raise InputError("no such knowledge base", path=self.name)
        if not comment.startswith(_MARK):
            raise InputError("has a table 'meta', but is not a knowledge base", path=self.name)
        if comment != f"{_MARK}{VERSION}":
            version = comment.removeprefix(_MARK)
            raise InputError(f"has schema version {version}, this program reads {VERSION}", path=self.name)
        number, may_write = self.rows(_RIGHTS)[0]
        self._lock += number
        self.writable = self.writable and may_write

    def _comment(self) -> str | None:
        """Return the comment on the table `meta`; None if there is no such table."""
        sql = "SELECT coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class WHERE relname = 'meta' AND "
        comment: str | None = self.scalar(sql + f"relnamespace = {_SCHEMA}")
        return comment

    def _make(self) -> None:
        sql = f"{definitions()}; COMMENT ON TABLE meta IS '{_MARK}{VERSION}'"
        with self._reporting():
            self._connection.execute(sql.encode())  # without parameters several statements go at once
        self.run("INSERT INTO meta VALUES ('tombstone_key', ?)", (secrets.token_bytes(32),))

    # Statements and faults

    def _execute(self, sql: str, parameters: Parameters) -> "psycopg.Cursor":
        try:
            return self._connection.execute(translated(sql), parameters)
        except self._psycopg.DataError:
            if not _holds_nul(parameters) or _WRITING.match(sql):
                raise
        # No text that is kept holds a NUL, which equals nothing then, as NULL does.
        return self._connection.execute(translated(sql), [None if _is_nul(part) else part for part in parameters])

    def _in_transaction(self) -> bool:
        status = self._psycopg.pq.TransactionStatus
        return self._connection.info.transaction_status not in (status.IDLE, status.UNKNOWN)

    def _reported(self, error: Exception) -> LamLamError:
        errors = self._psycopg.errors
        if isinstance(error, UnicodeEncodeError):
            return InputError("a text holds a lone surrogate, which is not valid Unicode")
        if isinstance(error, errors.DataError) and "NUL" in str(error):
            return InputError("a text holds a NUL character, which no database keeps")
        if isinstance(error, errors.NumericValueOutOfRange):
            return InputError("a number is too large")
        if isinstance(error, errors.ProgramLimitExceeded):
            return InputError("a name is too long: PostgreSQL finds names of up to 2,700 bytes")
        if isinstance(error, errors.DuplicateTable):
            return InputError("has tables of the same names, but is not a knowledge base", path=self.name)
        if isinstance(error, errors.LockNotAvailable):
            return StoreError(self.name, "is being written to by another program")
        if isinstance(error, errors.InsufficientPrivilege | errors.ReadOnlySqlTransaction):
            return StoreError(self.name, f"refuses this: {_first_line(error)}")
        if self._connection.broken:
            return StoreError(f"the connection to {self.name}", f"failed: {_first_line(error)}")
        return StoreError(self.name, f"cannot be used this way: {_first_line(error)}")


def _driver() -> Any:
    with needs_extra("postgres", "PostgreSQL"):
        import psycopg
    return psycopg


def _parsed(url: str) -> tuple[dict[str, Any], str]:
    """Return what a URL says, with our defaults, and the URL as it may be shown: without a password."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = conninfo_to_dict(url)
    except ProgrammingError:
        # What libpq says of it may quote a part of the password.
        raise InputError("the address is not of the form postgresql://user@host:port/database") from None
    user = f"{given['user']}@" if "user" in given else ""
    port = f":{given['port']}" if "port" in given else ""
    name = f"postgresql://{user}{given.get('host', '')}{port}/{given.get('dbname', '')}"
    defaults = {"connect_timeout": _CONNECT_SECONDS, "fallback_application_name": "lamlam"}
    return defaults | given | {"client_encoding": "UTF8"}, name


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _holds_nul(parameters: Parameters) -> bool:
    return not isinstance(parameters, Mapping) and any(map(_is_nul, parameters))


def _is_nul(part: object) -> bool:
    return isinstance(part, str) and "\x00" in part
