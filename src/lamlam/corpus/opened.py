"""Files open for reading, unpacked where they are packed, with count of the bytes read from the disk."""

import bz2
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from lamlam.errors import InputError

__all__ = ["PACKED", "opened"]

PACKED = (".gz", ".bz2")
_BUFFER = 1 << 17


@contextmanager
def opened(path: Path, seen: Callable[[int], object] = lambda read: None) -> Iterator[BinaryIO]:
    """The bytes of a file; `seen` is told how many were read. Raises `InputError` where it cannot be read."""
    try:
        with path.open("rb", buffering=0) as raw, _unpacked(path, raw, seen) as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError("is no whole packed file", path=path) from error
    except OSError as error:
        reason = (
            "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror or error})"
        )
        raise InputError(reason, path=path) from error


def _unpacked(path: Path, raw: IO[bytes], seen: Callable[[int], object]) -> BinaryIO:
    counted = io.BufferedReader(_Counted(raw, seen), _BUFFER)
    if path.suffix == ".gz":
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=counted)), _BUFFER))
    if path.suffix == ".bz2":
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, bz2.BZ2File(counted)), _BUFFER))
    return cast(BinaryIO, counted)


class _Counted(io.RawIOBase):
    """A file that tells how much is read from it."""

    def __init__(self, raw: IO[bytes], seen: Callable[[int], object]) -> None:
        self._raw, self._seen = raw, seen

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = cast(io.RawIOBase, self._raw).readinto(buffer) or 0
        self._seen(count)
        return count

    def seekable(self) -> bool:
        return self._raw.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()
