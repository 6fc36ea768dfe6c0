"""A whole knowledge base from one database into another, whichever they are: ids, history, aliases, tombstones, all.

Unlike export and import, which carry what holds now, this leaves nothing out but an erasure that waits to be finished:
what it would erase is in no row, and so is not copied.
"""

from collections.abc import Callable, Iterator
from typing import Any

from lamlam.errors import LamLamError
from lamlam.kb.database import Database
from lamlam.kb.layout import LAYOUT, Layout
from lamlam.kb.schema import INDEXES

__all__ = ["copy_database"]

_TOLD_ROWS = 1000


def copy_database(source: Database, target: Database, *, seen: Callable[[int], object] = lambda rows: None) -> int:
    """Copy all rows, in one transaction, and go on counting ids where the source stands; how many rows.

    `seen` is told now and then how many rows there were since. Raises `LamLamError` where the target holds something;
    it is left as it is then.
    """
    count = 0

    def rows(table: str, layout: Layout) -> Iterator[tuple[Any, ...]]:
        nonlocal count
        where = "WHERE key <> 'erasing'" if table == "meta" else ""
        columns, key = ", ".join(layout.columns), ", ".join(layout.key)
        told = count
        for row in source.stream(f"SELECT {columns} FROM {table} {where} ORDER BY {key}"):
            yield _settings(row) if table == "meta" else row
            count += 1
            if count - told == _TOLD_ROWS:
                seen(_TOLD_ROWS)
                told = count
        seen(count - told)

    with source.snapshot(long=True), target.transaction():
        if any(target.one(f"SELECT 1 FROM {table} LIMIT 1") for table in LAYOUT if table != "meta"):
            raise LamLamError("the knowledge base to copy into is not empty")
        target.run("DELETE FROM meta")
        for index in INDEXES:
            target.run(f"DROP INDEX {index}")
        for table, layout in LAYOUT.items():
            last = source.last_id(table) if layout.counted else None
            target.fill(table, layout.columns, rows(table, layout), last)
        for definition in INDEXES.values():
            target.run(definition)
    return count


def _settings(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A setting with its value as bytes: SQLite keeps text in such a column, too, and PostgreSQL would unescape it."""
    key, value = row
    return key, value.encode() if isinstance(value, str) else value
