"""Documents in Parquet: the columns of text, id and title, and of calls where there are.

Row groups are streamed. The library is optional: the extra `parquet` brings it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lamlam.batches import batches
from lamlam.corpus.columns import Columns
from lamlam.corpus.ids import Ids
from lamlam.corpus.opened import opened
from lamlam.corpus.rows import document_object, document_of_row
from lamlam.errors import InputError, LamLamError
from lamlam.files import atomic_write
from lamlam.markup import AnnotatedDocument

__all__ = ["parquet_documents", "parquet_library", "refuse_doubled", "write_parquet_documents"]

_BATCH = 1 << 10


def parquet_library() -> tuple[Any, Any]:
    """`pyarrow` and `pyarrow.parquet`. Raises `LamLamError` where they are not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise LamLamError("Parquet files need the extra 'parquet': pip install 'lamlam[parquet]'") from error
    return pyarrow, pyarrow.parquet


def parquet_documents(
    path: Path, columns: Columns, seen: Callable[[int], object], ids: Ids
) -> Iterator[AnnotatedDocument]:
    """The documents of a file, a row each; rows are counted from 1 as lines are. Raises `InputError`."""
    arrow, parquet = parquet_library()
    with opened(path, seen) as raw:
        try:
            table = parquet.ParquetFile(raw)
            if columns.text not in table.schema_arrow.names:
                raise InputError("there is no such column", path=path, field=columns.text)
            wanted = [columns.text, columns.id, columns.title, "calls"]
            held = [name for name in wanted if name in table.schema_arrow.names]
            refuse_doubled(table.schema_arrow.names, held, path)
            number = 0
            for batch in table.iter_batches(_BATCH, columns=held):
                for row in batch.to_pylist():
                    number += 1
                    document = document_of_row(row, columns, path, number)
                    ids.add(document.id, path, number, columns.id)
                    yield document
        except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"is no sound Parquet ({str(error).splitlines()[0]})", path=path) from error


def refuse_doubled(columns: Sequence[str], wanted: Iterable[str], path: Path) -> None:
    """Raise `InputError` where one of the columns that are wanted is there more than once."""
    for name in wanted:
        if columns.count(name) > 1:
            raise InputError("names several columns", path=path, field=name)


def write_parquet_documents(documents: Iterable[AnnotatedDocument], path: str | Path) -> int:
    """Write documents as a table with the columns id, title, text and calls; how many."""
    arrow, parquet = parquet_library()
    text = arrow.string()
    call = arrow.struct([("entity", text), ("relation", text), ("value", text), ("at", arrow.int64())])
    schema = arrow.schema([("id", text), ("title", text), ("text", text), ("calls", arrow.list_(call))])
    rows = (document_object(document) for document in documents)
    count = 0
    with atomic_write(path, "wb") as file, parquet.ParquetWriter(file, schema) as writer:
        for batch in batches(rows, _BATCH):
            writer.write_table(arrow.Table.from_pylist(batch, schema))
            count += len(batch)
    return count
