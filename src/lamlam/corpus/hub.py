"""Documents of Hugging Face datasets, by name or from a folder, streamed.

The library is optional: the extra `datasets` brings it.
"""

from collections.abc import Iterator
from pathlib import Path

from lamlam.corpus.columns import Columns
from lamlam.corpus.ids import Ids
from lamlam.corpus.rows import document_of_row
from lamlam.errors import InputError, LamLamError
from lamlam.markup import AnnotatedDocument

__all__ = ["PREFIX", "hub_documents", "hub_name"]

PREFIX = "hf:"


def hub_documents(address: str, columns: Columns, ids: Ids) -> Iterator[AnnotatedDocument]:
    """The documents of `hf:NAME[:SPLIT[:CONFIG]]`, a row each; the split is "train" where none is named.

    NAME is a dataset's name or a folder. Raises `InputError` where there is no such dataset or it has no such column.
    """
    try:
        import datasets
    except ImportError as error:
        raise LamLamError("Hugging Face datasets need the extra 'datasets': pip install 'lamlam[datasets]'") from error
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
    """A name for files: that of the dataset and its split."""
    name, split, config = _parts(address)
    return "-".join(part for part in (Path(name).name, config, split) if part)


def _parts(address: str) -> tuple[str, str, str | None]:
    name, _, rest = address.removeprefix(PREFIX).partition(":")
    split, _, config = rest.partition(":")
    if not name:
        raise InputError("names no dataset: hf:NAME[:SPLIT[:CONFIG]]", path=address)
    return name, split or "train", config or None
