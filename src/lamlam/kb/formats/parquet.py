"""Parquet: the columns entity, relation and value, and those of the source and of aliases where there are.

Row groups are streamed. The library is optional: the extra `parquet` brings it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamlam.batches import batches
from lamlam.corpus.corpus import FactRecord
from lamlam.corpus.lines import intended_field, opened
from lamlam.corpus.tables import parquet_library, refuse_doubled
from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.kb.fact import Fact
from lamlam.kb.formats.row import ImportContext, InputFile, Row, Rows, records, unread_field, vetted

if TYPE_CHECKING:
    from lamlam.kb.view import View

__all__ = ["read_parquet", "write_parquet"]

_TEXTS = ("entity", "relation", "value", "document")
_SPAN = ("start", "end")
_ALIASES = ("entity_aliases", "relation_aliases")
_NEEDED = _TEXTS[:3]
_BATCH = 1 << 14


def read_parquet(file: InputFile, reading: ImportContext) -> Rows:
    """Yield the rows of a file, counted from 1 as lines are. Raises `InputError` if it is not a Parquet file of
    facts."""
    arrow, parquet = parquet_library()
    path = file.path
    with opened(path, reading.on_progress) as raw:
        try:
            table = parquet.ParquetFile(raw)
            columns = _columns(arrow, table.schema_arrow, path)
            for name in _unread(table.schema_arrow.names, path):
                reading.ignored[unread_field(name, reading.ignored)] += table.metadata.num_rows
            number = 0
            for batch in table.iter_batches(_BATCH, columns=columns):
                for values in _rows(batch, columns):
                    number += 1
                    yield _row(dict(zip(columns, values, strict=True)), path, number)
        except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
            raise InputError(f"is no sound Parquet ({str(error).splitlines()[0]})", path=path) from error


def _columns(arrow: Any, schema: Any, path: Path) -> list[str]:
    """Return the columns to read, each of the right kind."""
    types = arrow.types
    for name in _NEEDED:
        if name not in schema.names:
            raise InputError(f"has no column '{name}'", path=path, field=name)
    found = [name for name in (*_TEXTS, *_SPAN, *_ALIASES) if name in schema.names]
    refuse_doubled(schema.names, found, path)
    for name in found:
        kind = schema.field(name).type
        if types.is_dictionary(kind):
            kind = kind.value_type
        if types.is_list(kind) or types.is_large_list(kind):
            sound = name in _ALIASES and _is_text(types, kind.value_type)
        else:
            sound = types.is_integer(kind) if name in _SPAN else name in _TEXTS and _is_text(types, kind)
        if not (sound or types.is_null(kind)):
            raise InputError(f"is a column of {kind}", path=path, field=name)
    return found


def _unread(names: list[str], path: Path) -> list[str]:
    """Return the columns that are no part of a fact. Raises `InputError` for a misspelt part of it."""
    known = (*_TEXTS, *_SPAN, *_ALIASES)
    others = [name for name in dict.fromkeys(names) if name not in known]
    for name in others:
        if column := intended_field(name, known):
            raise InputError(f"is not known: it must be called '{column}'", path=path, field=name)
    return others


def _is_text(types: Any, kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _rows(batch: Any, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the values of each row; None in place of what is not text."""
    try:
        yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            yield tuple(_value(batch.column(name)[index]) for name in columns)


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return None


def _row(values: dict[str, Any], path: Path, number: int) -> Row | InputError:
    for name in _NEEDED:
        if values[name] is None:
            return InputError("must be text", path=path, line=number, field=name)
    for name in _ALIASES:
        names = tuple(values.get(name) or ())
        if None in names:
            return InputError("must be a list of text", path=path, line=number, field=name)
        values[name] = names
    return vetted(path, number, FactRecord(**values))


def write_parquet(kb: "View", facts: Iterator[Fact], path: Path) -> None:
    """Write facts with sources and aliases, so that importing them restores all."""
    arrow, parquet = parquet_library()
    columns = [(name, arrow.string()) for name in _TEXTS] + [(name, arrow.int64()) for name in _SPAN]
    schema = arrow.schema(columns + [(name, arrow.list_(arrow.string())) for name in _ALIASES])
    rows = records(kb, facts)
    with atomic_write(path, "wb") as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for block in batches(rows, _BATCH):
            table = {name: [getattr(row, name) for row in block] for name in schema.names}
            writer.write_table(arrow.table(table, schema))
