"""The free bytes of an SQLite file's pages, and blanking them.

Source: "Database File Format", https://www.sqlite.org/fileformat2.html, section 1.6 (b-tree pages). Between the array
of cell pointers and the cells of a page lies a gap, which keeps old bytes when cells are moved; `secure_delete` blanks
what is deleted, but not these copies.
"""

import os
from typing import BinaryIO

import numpy as np

__all__ = ["blank_free_bytes"]

_HEADER = 100  # of the file, at the start of page 1
_INTERIOR, _LEAF = (2, 5), (10, 13)
_PAGES_AT_ONCE = 2048


def blank_free_bytes(file: BinaryIO) -> int:
    """Write zeros over the gaps of all b-tree pages that are not blank; how many pages that were.

    Nobody else may write to the file meanwhile. Cells, pointers and lists of free blocks are not touched, so that an
    interruption does no harm.
    """
    fd = file.fileno()
    size = _page_size(os.pread(fd, _HEADER, 0))
    blanked = at = 0
    while chunk := os.pread(fd, size * _PAGES_AT_ONCE, at):
        pages = np.frombuffer(chunk[: len(chunk) // size * size], np.uint8).reshape(-1, size)  # [P, S]
        first = _HEADER if at == 0 else 0
        for page, start, end in _dirty_gaps(pages[1:] if first else pages, 0):
            os.pwrite(fd, bytes(end - start), at + (page + bool(first)) * size + start)
            blanked += 1
        for _, start, end in _dirty_gaps(pages[:1], first) if first else ():
            os.pwrite(fd, bytes(end - start), start)
            blanked += 1
        at += len(chunk)
    os.fsync(fd)
    return blanked


def _page_size(header: bytes) -> int:
    stated = int.from_bytes(header[16:18], "big")
    return 65536 if stated == 1 else stated


def _dirty_gaps(pages: np.ndarray, header: int) -> list[tuple[int, int, int]]:
    """(page, start, end) of each gap with a byte other than zero; pages [P, S] uint8, headers at byte `header`."""
    if not len(pages):
        return []
    size = pages.shape[1]
    kind = pages[:, header]
    cells, content = (_number(pages, header + at) for at in (3, 5))
    content = np.where(content == 0, 65536, content)
    start = header + np.where(np.isin(kind, _INTERIOR), 12, 8) + 2 * cells
    sound = np.isin(kind, _INTERIOR + _LEAF) & (start < content) & (content <= size)
    columns = np.arange(size)
    gap = (columns >= start[:, None]) & (columns < content[:, None]) & sound[:, None]  # [P, S]
    dirty = np.flatnonzero((gap & (pages != 0)).any(axis=1))
    return [(int(page), int(start[page]), int(content[page])) for page in dirty]


def _number(pages: np.ndarray, at: int) -> np.ndarray:
    """The big-endian 16-bit number at byte `at` of each page; [P] int64."""
    return pages[:, at].astype(np.int64) * 256 + pages[:, at + 1]
