"""Looking for erased strings in the bytes of a knowledge base's files."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["Scan", "occurring", "search", "searched_for"]

_SHORTEST = 4  # fewer bytes stand in any file by chance
_FEW = 6  # patterns that are looked for one by one
_SLOTS = 1 << 22


@dataclass(frozen=True, slots=True)
class Scan:
    """What a search of the files for the erased strings found.

    `searched` strings were looked for in `files` (`bytes` in all). `shared` of them still stand in rows that remain,
    alone or as part of a longer text; `short` ones of under four bytes cannot be told from chance; and `left_over`
    should be 0. `unsearched` names what of the knowledge base could not be searched.
    """

    files: tuple[str, ...]
    bytes: int
    searched: int
    shared: int
    short: int
    left_over: int
    unsearched: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return self.left_over == 0


def search(files: Mapping[str, Iterator[bytes]], strings: Iterable[str], rows_only: Collection[str] = ()) -> Scan:
    """Search files, given in chunks, for strings that should be gone.

    What is found in one of the files `rows_only`, whose free bytes are known to be blank, stands in a row that remains.
    """
    wanted, short = searched_for(strings)
    shared: set[bytes] = set()
    left_over: set[bytes] = set()
    size = 0
    for name, chunks in files.items():
        found, length = occurring(chunks, wanted)
        size += length
        if name in rows_only:
            shared |= found
        else:
            left_over |= found
    return Scan(tuple(files), size, len(wanted), len(shared - left_over), short, len(left_over))


def searched_for(strings: Iterable[str]) -> tuple[set[bytes], int]:
    """The bytes of the strings that can be told from chance, and how many cannot."""
    encoded = {text.encode() for text in strings}
    wanted = {pattern for pattern in encoded if len(pattern) >= _SHORTEST}
    return wanted, len(encoded) - len(wanted)


def occurring(chunks: Iterable[bytes], wanted: set[bytes]) -> tuple[set[bytes], int]:
    """Those of the patterns that stand in the bytes, given in chunks, and how many bytes these were."""
    overlap = max((len(pattern) for pattern in wanted), default=1) - 1
    found: set[bytes] = set()
    size = 0
    tail = b""
    for chunk in chunks:
        size += len(chunk)
        window = tail + chunk
        found |= _found(window, wanted - found)
        tail = window[-overlap:] if overlap else b""
    return found, size


def _found(window: bytes, patterns: set[bytes]) -> set[bytes]:
    """Those of the patterns that stand in the window."""
    if len(patterns) <= _FEW:
        return {pattern for pattern in patterns if pattern in window}
    by_start: dict[bytes, list[bytes]] = {}
    for pattern in patterns:
        by_start.setdefault(pattern[:_SHORTEST], []).append(pattern)
    starts = np.frombuffer(b"".join(by_start), "<u4")
    table = np.zeros(_SLOTS, bool)
    table[_slots(starts)] = True
    found: set[bytes] = set()
    for shift in range(_SHORTEST):
        words = np.frombuffer(window[shift : len(window) - (len(window) - shift) % _SHORTEST], "<u4")
        for at in np.flatnonzero(table[_slots(words)]) * 4 + shift:
            here = by_start.get(window[at : at + _SHORTEST], ())
            found.update(pattern for pattern in here if window.startswith(pattern, at))
    return found


def _slots(words: np.ndarray) -> np.ndarray:
    """A place in the table for each four bytes; [N] uint32 to [N] int64."""
    return ((words * np.uint32(2654435769)) >> np.uint32(10)).astype(np.int64)
