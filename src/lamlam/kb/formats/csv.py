"""CSV: the columns entity, relation and value, in any order; propositions only."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from lamlam.corpus.corpus import FactRecord
from lamlam.corpus.opened import opened
from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.kb.fact import Fact
from lamlam.kb.formats.row import InputFile, Reading, Rows, vetted

if TYPE_CHECKING:
    from lamlam.kb.view import View

__all__ = ["numbered_rows", "read_csv", "write_csv"]

_COLUMNS = ("entity", "relation", "value")
_LONGEST_FIELD = 1 << 28  # characters: what follows a quote that is never closed does not fill the memory

_Fields = tuple[int, list[str]] | InputError


def read_csv(file: InputFile, reading: Reading) -> Rows:
    """The rows of a file. Raises `InputError` where the first line does not name the columns."""
    path = file.path
    with opened(path, reading.seen) as raw:
        # Bytes that are not UTF-8 come as surrogates, so that the reader can go on behind them.
        rows = numbered_rows(io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline=""), path)
        columns = _columns(next(rows, (1, [])), path)
        width, places = len(columns), [columns.index(name) for name in _COLUMNS]
        for row in rows:
            if isinstance(row, InputError):
                yield row
                continue
            line, fields = row
            if len(fields) != width:
                yield InputError(f"has {len(fields)} fields, not {width}", path=path, line=line)
                continue
            entity, relation, value = (fields[place] for place in places)
            yield vetted(path, line, FactRecord(entity, relation, value))


def _columns(first: _Fields, path: Path) -> list[str]:
    if isinstance(first, InputError):
        raise first
    if sorted(first[1]) != sorted(_COLUMNS):
        raise InputError(f"the first line must name the columns {', '.join(_COLUMNS)}", path=path, line=1)
    return first[1]


def numbered_rows(file: TextIO, path: Path | None = None) -> Iterator[_Fields]:
    """The rows that are not blank, each with the line where it begins."""
    csv.field_size_limit(_LONGEST_FIELD)  # of the whole process; 131,072 characters else, fewer than other formats take
    reader = csv.reader(file, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield InputError(f"is no CSV ({error})", path=path, line=line)
            continue
        if _undecoded(fields):
            yield InputError("is not UTF-8", path=path, line=line)
        elif fields:
            yield line, fields


def _undecoded(fields: list[str]) -> bool:
    text = "".join(fields)
    return not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text)


def write_csv(kb: "View", facts: Iterator[Fact], path: Path) -> None:
    with atomic_write(path) as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows((fact.entity, fact.relation, fact.value) for fact in facts)
