"""What a bulk import keeps beside its rows: arrays to sort later, in the file, and numbers for names, in memory.

Arrays are appended in the transactions that write the rows, and read again in order, as often as it takes to sort them
in little memory. A name is known by 64 bits of hash under the process's secret key, so that nobody can make two names
collide; 16 independent bits, kept for each name, detect a collision by chance. Hashes are in sorted arrays, searched
for a whole batch at once, at 12 bytes a name.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from zlib import crc32

import numpy as np

from lamlam.errors import LamLamError

__all__ = ["Dictionary", "Staging", "among", "in_order", "insert", "interleaved", "keyed", "unkeyed"]

_AT_ONCE = 1 << 21  # values sorted in memory
_BINS = 1 << 16
_ROWS = 400  # in one statement: a third of the time that a row a statement takes
_TABLE = "CREATE TABLE staged (kind TEXT NOT NULL, data BLOB NOT NULL)"

Pieces = Callable[[], Iterator[np.ndarray]]
_PARTS = 16  # of the sorted hashes, so that merging new ones in takes little memory
_RECENT = 1 << 19  # so many new hashes wait before they are merged in


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
        """Yield 32-bit keys, each with the number of its place (from 1) in the low half; [N] uint64 in the order of
        keys."""
        place = 1
        for keys in self.read(kind, np.int32):
            yield keyed(keys, np.arange(place, place + len(keys)))
            place += len(keys)


def keyed(keys: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Join signed 32-bit keys and numbers: [N] uint64 that sort as the keys do, then as the numbers."""
    return ((keys.astype(np.int64) + 2**31).astype(np.uint64) << np.uint64(32)) | numbers.astype(np.uint64)


def unkeyed(both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take apart what `keyed` joined; [N] int64 each."""
    return (both >> np.uint64(32)).astype(np.int64) - 2**31, (both & np.uint64(2**32 - 1)).astype(np.int64)


def in_order(pieces: Pieces) -> Iterator[np.ndarray]:
    """Yield the values [N] uint64 of all pieces, sorted, in parts: they are read once to count, and once for
    each part."""
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
    """Return which of the values [N] are in a sorted array; [N] bool."""
    if not len(ordered):
        return np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return ordered[at] == values


def insert(connection: sqlite3.Connection, into: str, width: int, flat: list, constants: str = "") -> None:
    """Insert rows of `width` values from a flat list; `constants` is SQL that ends each row."""
    row = f"({','.join('?' * width)}{constants})"
    step = width * _ROWS
    whole = len(flat) // step * step
    sql = f"INSERT INTO {into} VALUES {{}}"
    chunks: Iterable[list] = (flat[at : at + step] for at in range(0, whole, step))
    connection.executemany(sql.format(",".join([row] * _ROWS)), chunks)
    chunks = (flat[at : at + width] for at in range(whole, len(flat), width))
    connection.executemany(sql.format(row), chunks)


def interleaved(*columns: list) -> list:
    """Return columns of one length as a flat list of rows."""
    flat: list = [None] * (len(columns) * len(columns[0]))
    for at, column in enumerate(columns):
        flat[at :: len(columns)] = column
    return flat


class _Sorted:
    """Hashes in order, with their numbers."""

    def __init__(self) -> None:
        self.hashes, self.numbers = np.empty(0, np.uint64), np.empty(0, np.int32)

    def find(self, hashes: np.ndarray) -> np.ndarray:
        """Return the numbers of sorted hashes [N], 0 for unknown ones; [N] int32."""
        if not len(self.hashes):
            return np.zeros(len(hashes), np.int32)
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[at] == hashes, self.numbers[at], 0)

    def merge(self, hashes: np.ndarray, numbers: np.ndarray) -> None:
        joined = np.concatenate([self.hashes, hashes])
        order = np.argsort(joined, kind="stable")  # which merges what is sorted already
        self.hashes, self.numbers = joined[order], np.concatenate([self.numbers, numbers])[order]


class Dictionary:
    """Numbers names from 1, in the order in which they first appear. The names themselves are left to the caller."""

    def __init__(self) -> None:
        self.size = 0
        self._parts = [_Sorted() for _ in range(_PARTS)]
        self._recent = _Sorted()
        self._checks = np.empty(1, np.uint16)  # by number

    def encode(self, names: Sequence[str]) -> tuple[list[int], list[int]]:
        """Return the number of each name, and the places of those that are new, in order."""
        hashed = np.fromiter(map(hash, names), np.int64, len(names)).view(np.uint64)
        hashes, first, inverse = np.unique(hashed, return_index=True, return_inverse=True)
        numbers = self._recent.find(hashes)
        for part, start, end in self._parted(hashes):
            numbers[start:end] |= part.find(hashes[start:end])
        checks = np.fromiter((_check(names[at]) for at in first.tolist()), np.uint16, len(first))
        new = np.flatnonzero(numbers == 0)
        known = numbers > 0
        if (self._checks[numbers[known]] != checks[known]).any():
            raise LamLamError("two names have one hash, by a rare chance: start the import again")
        order = new[np.argsort(first[new])]
        numbers[order] = np.arange(self.size + 1, self.size + 1 + len(order))
        self._grow(checks[order])
        self._recent.merge(hashes[new], numbers[new])
        if len(self._recent.hashes) > _RECENT:
            self._settle()
        return numbers[inverse].tolist(), first[order].tolist()

    def _grow(self, checks: np.ndarray) -> None:
        start, self.size = self.size + 1, self.size + len(checks)
        if self.size >= len(self._checks):
            grown = np.empty(self.size * 5 // 4 + _RECENT, np.uint16)
            grown[:start] = self._checks[:start]
            self._checks = grown
        self._checks[start : self.size + 1] = checks

    def _settle(self) -> None:
        recent, self._recent = self._recent, _Sorted()
        for part, start, end in self._parted(recent.hashes):
            part.merge(recent.hashes[start:end], recent.numbers[start:end])

    def _parted(self, hashes: np.ndarray) -> list[tuple[_Sorted, int, int]]:
        """Return the parts, each with the range of sorted hashes that belongs to it."""
        edges = (np.arange(1, _PARTS, dtype=np.uint64) * np.uint64(2**64 // _PARTS)).astype(np.uint64)
        bounds = [0, *np.searchsorted(hashes, edges).tolist(), len(hashes)]
        return list(zip(self._parts, bounds[:-1], bounds[1:], strict=True))


def _check(name: str) -> int:
    return crc32(name.encode()) & 0xFFFF
