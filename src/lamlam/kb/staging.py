"""Arrays kept in the file that a bulk import builds, until all have come and they can be sorted.

Each is appended to in pieces, in the transactions that write the rows, and read again in order: as many times as it
takes to sort it in little memory.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator

import numpy as np

__all__ = ["Staging", "among", "in_order", "insert", "interleaved", "keyed", "unkeyed"]

_AT_ONCE = 1 << 21  # values sorted in memory
_BINS = 1 << 16
_ROWS = 400  # in one statement: a third of the time that a row a statement takes
_TABLE = "CREATE TABLE staged (kind TEXT NOT NULL, data BLOB NOT NULL)"

Pieces = Callable[[], Iterator[np.ndarray]]


class Staging:
    """Arrays by kind, in a table of their own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def make(self) -> None:
        self._connection.execute(_TABLE)

    def drop(self, kind: str) -> None:
        """Free the room of an array, for what is written next."""
        self._connection.execute("DELETE FROM staged WHERE kind = ?", (kind,))

    def append(self, kind: str, array: np.ndarray) -> None:
        if len(array):
            self._connection.execute("INSERT INTO staged VALUES (?, ?)", (kind, array.tobytes()))

    def read(self, kind: str, type: type) -> Iterator[np.ndarray]:
        for (data,) in self._connection.execute("SELECT data FROM staged WHERE kind = ? ORDER BY rowid", (kind,)):
            yield np.frombuffer(data, type)

    def read_keyed(self, kind: str) -> Iterator[np.ndarray]:
        """32-bit keys, each with the number of its place (from 1) in the low half; [N] uint64 in the order of keys."""
        place = 1
        for keys in self.read(kind, np.int32):
            yield keyed(keys, np.arange(place, place + len(keys)))
            place += len(keys)


def keyed(keys: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Signed 32-bit keys and numbers, in one: [N] uint64 that sort as the keys do, then as the numbers."""
    return ((keys.astype(np.int64) + 2**31).astype(np.uint64) << np.uint64(32)) | numbers.astype(np.uint64)


def unkeyed(both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `keyed` joined; [N] int64 each."""
    return (both >> np.uint64(32)).astype(np.int64) - 2**31, (both & np.uint64(2**32 - 1)).astype(np.int64)


def in_order(pieces: Pieces) -> Iterator[np.ndarray]:
    """The values [N] uint64 of all pieces, sorted, in parts: read once to count them, and once for each part."""
    bins = np.zeros(_BINS, np.int64)
    for piece in pieces():
        bins += np.bincount((piece >> np.uint64(48)).astype(np.int64), minlength=_BINS)
    ends = np.cumsum(bins)
    start = 0
    while start < _BINS:
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        part = [piece[_within(piece, start, end)] for piece in pieces()] if ends[end - 1] > before else []
        if part:
            joined = np.concatenate(part)
            joined.sort()
            yield joined
        start = end


def _within(piece: np.ndarray, start: int, end: int) -> np.ndarray:
    high = (piece >> np.uint64(48)).astype(np.int64)
    return (high >= start) & (high < end)


def among(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which of the values [N] stand in a sorted array; [N] bool."""
    if not len(ordered):
        return np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return ordered[at] == values


def insert(connection: sqlite3.Connection, into: str, width: int, flat: list, constants: str = "") -> None:
    """Insert rows of `width` values that stand one after the other; `constants` is SQL that ends each row."""
    row = f"({','.join('?' * width)}{constants})"
    step = width * _ROWS
    whole = len(flat) // step * step
    sql = f"INSERT INTO {into} VALUES {{}}"
    chunks: Iterable[list] = (flat[at : at + step] for at in range(0, whole, step))
    connection.executemany(sql.format(",".join([row] * _ROWS)), chunks)
    chunks = (flat[at : at + width] for at in range(whole, len(flat), width))
    connection.executemany(sql.format(row), chunks)


def interleaved(*columns: list) -> list:
    """Columns of one length as rows that stand one after the other."""
    flat: list = [None] * (len(columns) * len(columns[0]))
    for at, column in enumerate(columns):
        flat[at :: len(columns)] = column
    return flat
