"""JSON Lines, an object per line, and files of one JSON object, read with errors that name file, line and field.

Packed files (`.gz`, `.bz2`) are unpacked while they are read. What the objects mean is left to `files` and `rows`.
"""

import bz2
import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from rapidfuzz.distance import OSA

from lamlam.errors import InputError
from lamlam.files import atomic_write

__all__ = [
    "PACKED",
    "Entry",
    "OnProgress",
    "intended_field",
    "once",
    "opened",
    "parse_entries",
    "parse_line",
    "read_entries",
    "read_object",
    "read_text",
    "write_objects",
]

_KINDS = {str: "text", int: "a whole number", list: "a list", dict: "an object"}
_LONG = 5  # letters, from which on one wrong letter is a slip
_PLURALS = (("ies", "y"), ("es", ""), ("s", ""))
PACKED = (".gz", ".bz2")
_BUFFER = 1 << 17


OnProgress = Callable[[int], object]
"""Called with the number of bytes read."""


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these fields, for `json.loads`. Raises `InputError` for a duplicate field."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise InputError("is given twice", field=next(name for name in names if names.count(name) > 1))
    return found


@dataclass(frozen=True, slots=True)
class Entry:
    """A JSON object and where it is: file, line (from 1, if known), and the field that leads to it."""

    value: Mapping[str, Any]
    path: Path
    line: int | None = None
    prefix: str = ""

    def error(self, reason: str, field: str) -> InputError:
        return InputError(reason, path=self.path, line=self.line, field=self.prefix + field)

    def has(self, field: str) -> bool:
        return self.value.get(field) is not None

    def others(self, known: frozenset[str]) -> list[str]:
        """Return the fields that are not among the known ones. Raises `InputError` for a misspelling of a known one."""
        others = sorted(self.value.keys() - known)
        for field in others:
            if name := intended_field(field, known):
                raise self.error(f"is not known: it must be called '{name}'", field)
        return others

    def text(self, field: str, *, empty: bool = True) -> str:
        """Return a text field, without lone surrogates; `empty` says whether it may be blank."""
        return self._checked_text(self._of_kind(field, str), field, empty)

    def number(self, field: str, *, least: int | None = None) -> int:
        number = self._of_kind(field, int)
        if least is not None and number < least:
            raise self.error(f"must not be below {least}", field)
        return number

    def texts(self, field: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(
            self._checked_text(self._checked(item, f"{field}[{index}]", str), f"{field}[{index}]", True)
            for index, item in enumerate(self._of_kind(field, list))
        )

    def entry(self, field: str) -> "Entry":
        """Return an object inside this one."""
        return Entry(self._of_kind(field, dict), self.path, self.line, f"{self.prefix}{field}.")

    def entries(self, field: str) -> Iterator["Entry"]:
        """Yield a list of objects inside this one."""
        for index, item in enumerate(self._of_kind(field, list)):
            name = f"{field}[{index}]"
            yield Entry(self._checked(item, name, dict), self.path, self.line, f"{self.prefix}{name}.")

    def _of_kind(self, field: str, kind: type) -> Any:
        if field not in self.value:
            raise self.error("is missing", field)
        return self._checked(self.value[field], field, kind)

    def _checked(self, value: Any, field: str, kind: type) -> Any:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(f"must be {_KINDS[kind]}", field)
        return value

    def _checked_text(self, text: str, field: str, empty: bool) -> str:
        if not empty and not text.strip():
            raise self.error("must not be empty", field)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise self.error("holds half of a surrogate pair, which is no character", field) from error
        return text


def read_entries(path: str | Path, on_progress: OnProgress = lambda size: None) -> Iterator[Entry]:
    """Yield the objects of a JSON Lines file, packed or not; blank lines are skipped.

    `on_progress` is called with the number of bytes read. Raises `InputError` when the file cannot be read, is not
    UTF-8, or a line is no JSON object (a truncated one, say).
    """
    with opened(Path(path), on_progress) as file:
        yield from parse_entries(file, path)


def parse_entries(lines: Iterable[bytes], path: str | Path) -> Iterator[Entry]:
    """Yield the objects of JSON Lines that are open already, such as standard input; errors call them `path`."""
    for number, raw in enumerate(lines, start=1):
        entry = parse_line(raw, Path(path), number)
        if entry is not None:
            yield entry


def parse_line(raw: bytes, path: Path, number: int) -> Entry | None:
    """Return the object of one line; None if it is blank."""
    line = _decoded(raw, path, number)
    return _parsed(line, path, number) if line.strip() else None


def read_text(path: str | Path) -> str:
    """Return a file's text, line ends unchanged. Raises `InputError` if it cannot be read or is not UTF-8."""
    source = Path(path)
    with opened(source) as file:
        return "".join(_decoded(line, source, number) for number, line in enumerate(file, start=1))


def read_object(path: str | Path) -> Entry:
    """Return the one JSON object in a file. Raises `InputError` if it cannot be read or holds something else."""
    source = Path(path)
    text = read_text(source)
    try:
        root = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"is no whole JSON ({error.msg})", path=source, line=error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise InputError("is no JSON that can be read", path=source) from error
    if not isinstance(root, dict):
        raise InputError("is no JSON object", path=source)
    return Entry(root, source)


def write_objects(objects: Iterable[Mapping[str, Any]], path: str | Path) -> int:
    """Write objects as JSON Lines and return how many; the file appears whole or not at all."""
    count = 0
    with atomic_write(path) as file:
        for value in objects:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")
            count += 1
    return count


def _decoded(raw: bytes, path: Path, line: int) -> str:
    if line == 1:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 (byte {error.start + 1} of the line)", path=path, line=line) from error


def _parsed(line: str, path: Path, number: int) -> Entry:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        where = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"is no whole JSON object (broken{where})", path=path, line=number) from error
    if not isinstance(value, dict):
        raise InputError("is no JSON object", path=path, line=number)
    return Entry(value, path, number)


def intended_field(name: str, known: Iterable[str]) -> str | None:
    """Return the known field that a name misspells (in case, signs, plural, or one letter), or None."""
    return next((field for field in known if _alike(_letters(name), _letters(field))), None)


def _alike(a: str, b: str) -> bool:
    if _forms(a) & _forms(b):
        return True
    return min(len(a), len(b)) >= _LONG and OSA.distance(a, b, score_cutoff=1) <= 1


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _forms(name: str) -> set[str]:
    """Return a name, and what it may be the plural of."""
    return {name, *(name.removesuffix(plural) + single for plural, single in _PLURALS if name.endswith(plural))}


@contextmanager
def opened(path: Path, on_progress: OnProgress = lambda size: None) -> Iterator[BinaryIO]:
    """Open a file, unpacked; `on_progress` is called with the number of bytes read. Raises `InputError`."""
    try:
        with path.open("rb", buffering=0) as raw, _unpacked(path, raw, on_progress) as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError("is no whole packed file", path=path) from error
    except OSError as error:
        reason = (
            "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror or error})"
        )
        raise InputError(reason, path=path) from error


def _unpacked(path: Path, raw: IO[bytes], on_progress: OnProgress) -> BinaryIO:
    counted = io.BufferedReader(_Counted(raw, on_progress), _BUFFER)
    if path.suffix == ".gz":
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=counted)), _BUFFER))
    if path.suffix == ".bz2":
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, bz2.BZ2File(counted)), _BUFFER))
    return cast(BinaryIO, counted)


class _Counted(io.RawIOBase):
    """A file that reports how much is read from it."""

    def __init__(self, raw: IO[bytes], on_progress: OnProgress) -> None:
        self._raw, self._on_progress = raw, on_progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = cast(io.RawIOBase, self._raw).readinto(buffer) or 0
        self._on_progress(count)
        return count

    def seekable(self) -> bool:
        return self._raw.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()
