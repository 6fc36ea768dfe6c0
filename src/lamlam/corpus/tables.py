"""Documents in Parquet files and Hugging Face datasets, streamed.

The libraries are optional: the extras `parquet` and `datasets` bring them.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lamlam.batches import batches
from lamlam.corpus.lines import OnProgress, opened
from lamlam.corpus.rows import Columns, Ids, document_object, document_of_row
from lamlam.errors import InputError, needs_extra
from lamlam.files import atomic_write
from lamlam.markup import AnnotatedDocument

__all__ = [
    "PREFIX",
    "hub_documents",
    "hub_name",
    "parquet_documents",
    "parquet_library",
    "refuse_doubled",
    "write_parquet_documents",
]

_BATCH = 1 << 10
PREFIX = "hf:"


def parquet_library() -> tuple[Any, Any]:
    """Return `pyarrow` and `pyarrow.parquet`. Raises `LamLamError` if they are not installed."""
    with needs_extra("parquet", "a Parquet file"):
        import pyarrow
        import pyarrow.parquet
    return pyarrow, pyarrow.parquet


def parquet_documents(path: Path, columns: Columns, on_progress: OnProgress, ids: Ids) -> Iterator[AnnotatedDocument]:
    """Yield the documents of a Parquet file, one per row; rows are counted from 1. Raises `InputError`."""
    arrow, parquet = parquet_library()
    with opened(path, on_progress) as raw:
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
            raise InputError(f"is not valid Parquet ({str(error).splitlines()[0]})", path=path) from error


def refuse_doubled(columns: Sequence[str], wanted: Iterable[str], path: Path) -> None:
    """Raise `InputError` if one of the wanted columns occurs more than once."""
    for name in wanted:
        if columns.count(name) > 1:
            raise InputError("names several columns", path=path, field=name)


def write_parquet_documents(documents: Iterable[AnnotatedDocument], path: str | Path) -> int:
    """Write documents as a table with the columns id, title, text and calls, and return how many."""
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


def hub_documents(address: str, columns: Columns, ids: Ids) -> Iterator[AnnotatedDocument]:
    """Yield the documents of `hf:NAME[:SPLIT[:CONFIG]]`, one per row; the split is "train" by default.

    NAME is a dataset's name or a folder. Raises `InputError` if there is no such dataset or column.
    """
    with needs_extra("datasets", "a Hugging Face dataset"):
        import datasets
    name, split, config = _parts(address)
    try:
        rows = datasets.load_dataset(name, config, split=split, streaming=True)
        if rows.column_names is not None and columns.text not in rows.column_names:
            raise InputError("there is no such column", path=address, field=columns.text)
        for number, row in enumerate(rows, start=1):
            document = document_of_row(row, columns, Path(hub_name(address)), number)
            ids.add(document.id, address, number, columns.id)
            yield document
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"cannot be read ({str(error).strip().splitlines()[0]})", path=address) from error


def hub_name(address: str) -> str:
    """Return a name for files: that of the dataset and its split."""
    name, split, config = _parts(address)
    return "-".join(part for part in (Path(name).name, config, split) if part)


def _parts(address: str) -> tuple[str, str, str | None]:
    name, _, rest = address.removeprefix(PREFIX).partition(":")
    split, _, config = rest.partition(":")
    if not name:
        raise InputError("names no dataset: hf:NAME[:SPLIT[:CONFIG]]", path=address)
    return name, split or "train", config or None
