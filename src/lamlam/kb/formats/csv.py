"""CSV: the columns entity, relation and value, in any order, among others; propositions only.

Fields are separated by commas, semicolons or tabs, as the first line shows.
"""

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from lamlam.corpus.corpus import FactRecord
from lamlam.corpus.lines import opened
from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.kb.fact import Fact
from lamlam.kb.formats.row import ImportContext, InputFile, Rows, unread_field, vetted

if TYPE_CHECKING:
    from lamlam.kb.view import View

__all__ = ["numbered_rows", "read_csv", "write_csv"]

_COLUMNS = ("entity", "relation", "value")
_DELIMITERS = ",;\t"
_QUOTED = re.compile(r'"[^"]*"')
_SEPARATOR = re.compile(r"sep=([,;|\t])\r?\n?", re.IGNORECASE)
_LONGEST_FIELD = 1 << 28  # characters: what follows a quote that is never closed does not fill the memory

_Fields = tuple[int, list[str]] | InputError


def read_csv(file: InputFile, reading: ImportContext) -> Rows:
    """Yield the rows of a file. Raises `InputError` if the first line does not name the columns."""
    path = file.path
    with opened(path, reading.on_progress) as raw:
        # Bytes that are not UTF-8 come as surrogates, so that the reader can continue behind them.
        rows = numbered_rows(io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline=""), path)
        columns = _columns(next(rows, (1, [])), path)
        width, places = len(columns), [columns.index(name) for name in _COLUMNS]
        unread = [unread_field(name, reading.ignored) for name in columns if name not in _COLUMNS]
        for row in rows:
            if isinstance(row, InputError):
                yield row
                continue
            line, fields = row
            if len(fields) != width:
                yield InputError(f"has {len(fields)} fields, not {width}", path=path, line=line)
                continue
            if unread:
                reading.ignored.update(unread)
            entity, relation, value = (fields[place] for place in places)
            yield vetted(path, line, FactRecord(entity, relation, value))


def _columns(first: _Fields, path: Path) -> list[str]:
    if isinstance(first, InputError):
        raise first
    columns = [name.strip().lower() for name in first[1]]
    if not set(_COLUMNS) <= set(columns):
        raise InputError(f"the first line must name the columns {', '.join(_COLUMNS)}", path=path, line=1)
    for name in _COLUMNS:
        if columns.count(name) > 1:
            raise InputError("names several columns", path=path, line=1, field=name)
    return columns


def numbered_rows(file: TextIO, path: Path | None = None) -> Iterator[_Fields]:
    """Yield the rows that are not blank, each with the line where it begins; the first shows what separates fields."""
    csv.field_size_limit(_LONGEST_FIELD)  # of the whole process; 131,072 characters else, fewer than other formats take
    skipped = 0
    while (first := file.readline()).isspace():
        skipped += 1
    separator = _SEPARATOR.fullmatch(first)  # a line that spreadsheets put before the others
    delimiter = separator[1] if separator else max(_DELIMITERS, key=_QUOTED.sub("", first).count)
    reader = csv.reader(chain([] if separator else [first], file), strict=True, delimiter=delimiter)
    skipped += separator is not None
    while True:
        line = reader.line_num + 1 + skipped
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield InputError(f"is not valid CSV ({error})", path=path, line=line)
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
