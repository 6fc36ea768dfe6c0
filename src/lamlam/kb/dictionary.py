"""Numbers for names, for more names than a Python dict could hold: 12 bytes each.

A name is known by 64 bits of hash under the process's secret key, so that nobody can make two names meet; that two
among twenty million meet by chance has a probability of one in a hundred thousand, and 16 independent bits, kept for
each name, tell when they do. Hashes stand in sorted arrays, searched for a whole batch at once. The names themselves
are left to the caller.
"""

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from lamlam.errors import LamLamError

__all__ = ["Dictionary"]

_PARTS = 16  # of the sorted hashes, so that merging new ones in takes little memory
_RECENT = 1 << 19  # as many new hashes stand apart before they are merged in


class _Sorted:
    """Hashes in order, with their numbers."""

    def __init__(self) -> None:
        self.hashes, self.numbers = np.empty(0, np.uint64), np.empty(0, np.int32)

    def find(self, hashes: np.ndarray) -> np.ndarray:
        """The numbers of sorted hashes [N], 0 where there is none; [N] int32."""
        if not len(self.hashes):
            return np.zeros(len(hashes), np.int32)
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[at] == hashes, self.numbers[at], 0)

    def merge(self, hashes: np.ndarray, numbers: np.ndarray) -> None:
        joined = np.concatenate([self.hashes, hashes])
        order = np.argsort(joined, kind="stable")  # which merges what is sorted already
        self.hashes, self.numbers = joined[order], np.concatenate([self.numbers, numbers])[order]


class Dictionary:
    """Numbers names from 1, in the order in which they first appear."""

    def __init__(self) -> None:
        self.size = 0
        self._parts = [_Sorted() for _ in range(_PARTS)]
        self._recent = _Sorted()
        self._checks = np.empty(1, np.uint16)  # by number

    def encode(self, names: Sequence[str]) -> tuple[list[int], list[int]]:
        """The number of each name, and the places of those that are new, in order."""
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
        """The parts, each with the range of sorted hashes that belongs to it."""
        edges = (np.arange(1, _PARTS, dtype=np.uint64) * np.uint64(2**64 // _PARTS)).astype(np.uint64)
        bounds = [0, *np.searchsorted(hashes, edges).tolist(), len(hashes)]
        return list(zip(self._parts, bounds[:-1], bounds[1:], strict=True))


def _check(name: str) -> int:
    return crc32(name.encode()) & 0xFFFF
