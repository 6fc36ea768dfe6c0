"""Erase for good in PostgreSQL, as far as a client can.

A deleted row stays in its page until the page is used again, also after a plain VACUUM. So the tables are rewritten,
with their indexes and the planner's statistics, which hold values too. Then all that the role may read of them is
searched. The write-ahead log is the server's: it cannot be emptied from here.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from lamlam.kb.scan import Scan, occurring, searched_for
from lamlam.kb.schema import LAYOUT

if TYPE_CHECKING:
    import psycopg

__all__ = ["Eraser"]

_WAIT_SECONDS = 10.0
_PAUSE_SECONDS = 0.05
_REWRITTEN_BYTES = 1 << 30  # a larger knowledge base would be locked for minutes
_CHUNK = 1 << 22
_SEGMENT = 1 << 30
_TABLES = list(LAYOUT)
_OLD_READERS = """
    SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend' AND age(backend_xmin) > age(%s::xid8::xid) LIMIT 1
"""
_FILES = """
    WITH kept AS (
        SELECT relname, oid, reltoastrelid FROM pg_class
        WHERE oid = 'pg_statistic'::regclass OR oid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) name)
    ), heaps AS (SELECT relname, oid FROM kept UNION SELECT relname, reltoastrelid FROM kept)
    SELECT h.relname, pg_relation_filepath(c.oid) FROM heaps h JOIN pg_class c ON c.oid = h.oid
    OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = h.oid) ORDER BY 1, 2
"""
_OWNED = """
    SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class
    WHERE oid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) name)
"""
_STATISTICS = """
    SELECT coalesce(most_common_vals::text, '') || coalesce(histogram_bounds::text, '') FROM pg_stats WHERE
"""
_TEXTS = """
    SELECT c.relname, quote_ident(a.attname) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.oid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) name) AND a.atttypid = 'text'::regtype
"""
_OURS = "(schemaname = current_schema() AND tablename = ANY (%s))"


class Eraser:
    """Rewrites a knowledge base's tables without their deleted rows, and searches for what must be gone.

    `rewritten` says whether the tables were last rewritten completely, or only tidied, since they are large.
    """

    def __init__(self, connection: "psycopg.Connection", lock: int) -> None:
        self._connection, self._lock = connection, -lock
        self.rewritten = False

    def rewrite(self, patient: bool = True) -> bool:
        """Rewrite the tables; return False if another program is erasing, or reads what was there before and doesn't
        end.

        Also False for a role that does not own the tables: PostgreSQL lets it write, but not rewrite them.
        """
        from psycopg.errors import LockNotAvailable

        if not self._scalar(_OWNED, _TABLES):
            return False
        wait = _WAIT_SECONDS if patient else 0.0
        if not _until(lambda: self._scalar("SELECT pg_try_advisory_lock(%s)", self._lock), wait):
            return False
        before = self._scalar("SHOW lock_timeout")
        try:
            now = self._scalar("SELECT pg_current_xact_id()::text")
            if not _until(lambda: self._scalar(_OLD_READERS, now) is None, wait):
                return False
            self._connection.execute(f"SET lock_timeout = {int(_WAIT_SECONDS * 1000)}")
            self._vacuum()
        except LockNotAvailable:
            return False
        finally:
            self._connection.execute(f"SET lock_timeout = '{before}'")
            self._scalar("SELECT pg_advisory_unlock(%s)", self._lock)
        return True

    def size(self) -> int:
        """Return the bytes on the server's disk, with indexes."""
        sql = "SELECT sum(pg_total_relation_size(to_regclass(name))) FROM unnest(%s::text[]) name"
        return int(self._scalar(sql, _TABLES))

    def may_read(self) -> bool:
        """Whether this role may read the server's files: a superuser may, or a role that was granted it."""
        sql = "SELECT has_function_privilege('pg_read_binary_file(text, bigint, bigint, boolean)', 'EXECUTE')"
        return bool(self._scalar(sql))

    def search(self, strings: Iterable[str], finished: bool) -> Scan:
        """Search all that the role may read; what no row holds is left over.

        If the tables were not rewritten and their files cannot be read, everything that no row holds counts as left
        over.
        """
        wanted, short = searched_for(strings)
        readable = self._readable()
        found: set[bytes] = set()
        size = 0
        for chunks in readable.values():
            here, length = occurring(chunks, wanted)
            found, size = found | here, size + length
        sure = finished and (self.rewritten or self.may_read())
        suspected = found if sure else wanted
        held, _ = occurring(self._held(), suspected) if suspected else (set(), 0)
        unsearched = () if self.may_read() else ("files of the server",)
        left_over, shared = len(suspected - held), len(found & held)
        return Scan(tuple(readable), size, len(wanted), shared, short, left_over, (*unsearched, "write-ahead log"))

    def _readable(self) -> dict[str, Iterator[bytes]]:
        """Return by table, in chunks: its files, with those of its indexes, and the statistics; or else all rows."""
        if not self.may_read():
            tables = {f"rows of {table}": self._rows(table) for table in _TABLES}
            return {**tables, "statistics": self._statistics()}
        self._write_out()
        files: dict[str, list[str]] = {}
        for table, path in self._connection.execute(_FILES, (_TABLES,)):
            files.setdefault(table, []).append(path)
        return {table: chain.from_iterable(map(self._file, paths)) for table, paths in files.items()}

    def _vacuum(self) -> None:
        tables = ", ".join(_TABLES)
        self.rewritten = self.size() <= _REWRITTEN_BYTES
        self._connection.execute(f"VACUUM ({'FULL, ' if self.rewritten else ''}ANALYZE) {tables}")
        for table, column in self._connection.execute(_TEXTS, (_TABLES,)).fetchall():
            if self._scalar(f"SELECT NOT EXISTS (SELECT 1 FROM {table})"):
                # The statistics of an empty table are not gathered again, but go when a type is set.
                self._connection.execute(f'ALTER TABLE {table} ALTER {column} TYPE text COLLATE "C"')
        self._connection.execute("VACUUM (FULL) pg_statistic")  # skipped where the role may not

    def _write_out(self) -> None:
        """Bring the files up to date with the server's memory."""
        from psycopg.errors import InsufficientPrivilege

        try:
            self._connection.execute("CHECKPOINT")
        except InsufficientPrivilege:
            return  # rewritten tables are on disk all the same

    def _file(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of a relation, which has a file for each GiB."""
        sql = "SELECT pg_read_binary_file(%s, %s, %s, true)"
        with self._connection.cursor(binary=True) as cursor:
            at = 0
            while True:
                number, offset = divmod(at, _SEGMENT)
                name = f"{path}.{number}" if number else path
                row = cursor.execute(sql, (name, offset, _CHUNK)).fetchone()
                if not row or not row[0]:
                    return
                yield row[0]
                at += len(row[0])

    def _rows(self, table: str) -> Iterator[bytes]:
        with self._connection.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)") as copy:
            yield from (bytes(part) for part in copy)

    def _held(self) -> Iterator[bytes]:
        """Yield all rows, and the statistics of tables that aren't the knowledge base's."""
        for table in _TABLES:
            yield from self._rows(table)
        yield from self._statistics(others=True)

    def _statistics(self, others: bool = False) -> Iterator[bytes]:
        sql = _STATISTICS + ("NOT " if others else "") + _OURS
        yield from (row[0].encode() for row in self._connection.execute(sql, (_TABLES,)))

    def _scalar(self, sql: str, *parameters: Any) -> Any:
        row = self._connection.execute(sql, parameters).fetchone()
        return row[0] if row else None


def _until(true: Callable[[], object], seconds: float) -> bool:
    """Ask until it is true, for so many seconds at most."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True
