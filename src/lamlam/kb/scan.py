"""What deleted rows leave in files: search for erased strings, and blank the free bytes of an SQLite file.

Source for the pages: "Database File Format", https://www.sqlite.org/fileformat2.html, sections 1.5 (free pages) and 1.6
(b-tree pages). A b-tree page has a gap between the array of cell pointers and the cells, which keeps old bytes when
cells are moved, and a chain of free blocks between cells. `secure_delete` blanks what is deleted, but not the copies in
gaps.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

__all__ = ["Scan", "blank_free_bytes", "occurring", "search", "searched_for"]

_SHORTEST = 4  # fewer bytes are in any file by chance
_FEW = 6  # patterns that are looked for one by one
_SLOTS = 1 << 22
# P pages of S bytes; a span is (page, start, end).
_HEADER = 100  # of the file, at the start of page 1
_INTERIOR, _LEAF = (2, 5), (10, 13)
_PAGES_AT_ONCE = 2048
_BLOCK_HEADER = 4  # of a free block: where the next one is, and the size of this one
_TRUNK_HEADER = 8  # of a list of free pages: its next page, and how many it names
Span = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Scan:
    """What a search of the files for the erased strings found.

    `searched` strings were looked for in `files` (`bytes` in all). `shared` of them are in rows that remain, alone or
    as part of a longer text; `short` ones of under four bytes may be there by chance; and `left_over` should be 0.
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


def search(files: Mapping[str, Iterator[bytes]], strings: Iterable[str], rows_only: Collection[str] = ()) -> Scan:
    """Search files, given in chunks, for strings that should be gone.

    What is found in one of the files `rows_only`, whose free bytes are known to be blank, belongs to a row that
    remains.
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
    """Return the bytes of the strings that are too long to occur by chance, and how many are shorter."""
    encoded = {text.encode() for text in strings}
    wanted = {pattern for pattern in encoded if len(pattern) >= _SHORTEST}
    return wanted, len(encoded) - len(wanted)


def occurring(chunks: Iterable[bytes], wanted: set[bytes]) -> tuple[set[bytes], int]:
    """Return those of the patterns that occur in the bytes, given in chunks, and how many bytes these were."""
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
    """Return those of the patterns that occur in the window."""
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
    """Return a place in the table for each four bytes; [N] uint32 to [N] int64."""
    return ((words * np.uint32(2654435769)) >> np.uint32(10)).astype(np.int64)


def blank_free_bytes(file: BinaryIO) -> int:
    """Write zeros over all free bytes of the file that aren't zero yet; return how many stretches that were.

    Nobody else may write to the file meanwhile. Cells, pointers and lists of what is free are not touched, so an
    interruption does no harm.
    """
    header = _read(file, _HEADER, 0)
    size = int.from_bytes(header[16:18], "big")
    size = 65536 if size == 1 else size
    blanked = 0
    for page, start, end in (*_free_pages(file, size, header), *_free_spans(file, size)):
        file.seek(page * size + start)
        file.write(bytes(end - start))
        blanked += 1
    file.flush()
    os.fsync(file.fileno())
    return blanked


def _read(file: BinaryIO, size: int, at: int) -> bytes:
    """Read so many bytes from a place on. Not with `os.pread`, which Windows lacks."""
    file.seek(at)
    return file.read(size)


def _free_pages(file: BinaryIO, size: int, header: bytes) -> Iterator[Span]:
    """Yield the dirty bytes of pages that belong to nothing: whole ones, and those behind the list of such pages."""
    trunk = int.from_bytes(header[32:36], "big")
    while trunk:
        content = _read(file, size, (trunk - 1) * size)
        numbers = np.frombuffer(content, ">u4")
        listed = int(numbers[1])
        for page in (int(number) - 1 for number in numbers[2 : 2 + listed]):
            if any(_read(file, size, page * size)):
                yield page, 0, size
        end = _TRUNK_HEADER + 4 * listed
        if any(content[end:]):
            yield trunk - 1, end, size
        trunk = int(numbers[0])


def _free_spans(file: BinaryIO, size: int) -> Iterator[Span]:
    """Yield the dirty free bytes within the pages of b-trees."""
    first = 0
    while chunk := _read(file, size * _PAGES_AT_ONCE, first * size):
        pages = np.frombuffer(chunk[: len(chunk) // size * size], np.uint8).reshape(-1, size)  # [P, S]
        for header, part in ((_HEADER, pages[:1]), (0, pages[1:])) if first == 0 else ((0, pages),):
            offset = first + (first == 0 and header == 0)
            yield from ((offset + page, start, end) for page, start, end in _dirty_spans(part, header))
        first += len(pages)


def _dirty_spans(pages: np.ndarray, header: int) -> list[Span]:
    """Return gaps and free blocks with a byte other than zero; pages [P, S] uint8, with headers at byte `header`."""
    number, size = pages.shape
    kind = pages[:, header]
    cells, content = (_number(pages, np.full(number, header + at)) for at in (3, 5))
    content = np.where(content == 0, 65536, content)
    start = header + np.where(np.isin(kind, _INTERIOR), 12, 8) + 2 * cells
    sound = np.isin(kind, _INTERIOR + _LEAF) & (start <= content) & (content <= size)
    dirty = _dirty(pages, np.flatnonzero(sound), start[sound], content[sound])
    block = np.where(sound, _number(pages, np.full(number, header + 1)), 0)
    while len(rows := np.flatnonzero(block)):
        begin = block[rows]
        end = np.minimum(begin + _number(pages[rows], begin + 2), size)
        dirty += _dirty(pages, rows, np.minimum(begin + _BLOCK_HEADER, end), end)
        following = _number(pages[rows], begin)
        block[rows] = np.where(following > begin, following, 0)
    return dirty


def _dirty(pages: np.ndarray, rows: np.ndarray, start: np.ndarray, end: np.ndarray) -> list[Span]:
    """Return the stretches of these rows that are not blank; rows, start, end [R]."""
    rows, start, end = rows[start < end], start[start < end], end[start < end]
    bounds = (rows * pages.shape[1])[:, None] + np.stack([start, end], axis=1)  # [R, 2]
    if not len(rows):
        return []
    until_end = bounds[-1, 1] == pages.size
    greatest = np.maximum.reduceat(pages.reshape(-1), bounds.reshape(-1)[: -1 if until_end else None])
    found = np.flatnonzero(greatest[::2])  # the odd ones are of the bytes in between
    return [(int(rows[at]), int(start[at]), int(end[at])) for at in found]


def _number(pages: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the big-endian 16-bit number at a byte of each page; pages [P, S], at [P], to [P] int64."""
    rows = np.arange(len(pages))
    at = np.minimum(at, pages.shape[1] - 2)
    return pages[rows, at].astype(np.int64) * 256 + pages[rows, at + 1]
