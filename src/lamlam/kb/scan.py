"""Looking for erased strings in the bytes of a knowledge base's files."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["Scan", "search"]

_SHORTEST = 4  # fewer bytes stand in any file by chance
_FEW = 6  # patterns that are looked for one by one
_SLOTS = 1 << 22


@dataclass(frozen=True, slots=True)
class Scan:
    """What a search of the files for the erased strings found.

    `searched` strings were looked for in `files` (`bytes` in all). `shared` of them still stand there as part of what
    remains and is not erased, `short` ones of under four bytes cannot be told from chance, and `left_over` should be 0.
    `unsearched` names what of the knowledge base could not be searched.
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


def search(files: Mapping[str, Iterator[bytes]], strings: Iterable[str], remains: Callable[[str], bool]) -> Scan:
    """Search files, given in chunks, for strings that should be gone; `remains` tells which stand in a row still."""
    encoded = {text.encode(): text for text in strings}
    wanted = {pattern for pattern in encoded if len(pattern) >= _SHORTEST}
    found: set[bytes] = set()
    size = 0
    overlap = max((len(pattern) for pattern in wanted), default=1) - 1
    for chunks in files.values():
        tail = b""
        for chunk in chunks:
            size += len(chunk)
            window = tail + chunk
            found |= _found(window, wanted - found)
            tail = window[-overlap:] if overlap else b""
    shared = sum(remains(encoded[pattern]) for pattern in found)
    return Scan(tuple(files), size, len(wanted), shared, len(encoded) - len(wanted), len(found) - shared)


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
