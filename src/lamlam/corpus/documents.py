"""Documents from files and folders, and annotated documents into files.

Readers are iterators, so a corpus need not fit into memory. JSON Lines, texts and the paper's JSON are read here;
Parquet and Hugging Face datasets in `tables`.
"""

import bz2
import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

from lamlam.corpus.lines import PACKED, Entry, OnProgress, read_entries, read_object, read_text
from lamlam.corpus.rows import Columns, Ids, document_object, document_of
from lamlam.corpus.tables import PREFIX, hub_documents, parquet_documents, write_parquet_documents
from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.markup import AnnotatedDocument, dblookup
from lamlam.text import title_of

__all__ = [
    "SHARD_ENDINGS",
    "TEXT_ENDINGS",
    "documents_from_paper",
    "documents_to_paper",
    "files_of",
    "read_documents",
    "read_lines",
    "write_documents",
]

TEXT_ENDINGS = (".txt", ".md")
SHARD_ENDINGS = (".jsonl", ".parquet", *(f".jsonl{packed}" for packed in PACKED))


def read_documents(
    source: str | Path, columns: Columns = Columns(), on_progress: OnProgress = lambda size: None
) -> Iterator[AnnotatedDocument]:
    """Yield the documents of a file or folder, by its ending, or of a Hugging Face dataset.

    `.jsonl`: objects `{"id", "title", "text", "calls": [{"entity", "relation", "value", "at"}]}`, `at` a character
    offset into `text`; `title` and `calls` are optional, a missing `id` becomes the file's name and line. `.parquet`:
    the same as columns. `columns` names the fields `text`, `id` and `title`. `.json`: the paper's format. `.txt`,
    `.md`: a plain text. A folder: its texts (with subfolders), one document per file, with paths relative to the folder
    as ids; without texts, its `.jsonl` and `.parquet` files. `hf:NAME[:SPLIT[:CONFIG]]`: a dataset, streamed. JSON
    Lines may be packed (`.gz`, `.bz2`). `on_progress` is called with the number of bytes read. Raises `InputError`,
    also if there is no document or two have the same id.
    """
    found = False
    with Ids() as ids:
        for document in _documents(source, columns, on_progress, ids):
            found = True
            yield document
    if not found:
        raise InputError("holds no documents", path=source)


def read_lines(path: Path, columns: Columns, on_progress: OnProgress, ids: Ids) -> Iterator[AnnotatedDocument]:
    """Yield the documents of JSON Lines, whose ids must be new. Raises `InputError`."""
    for entry in read_entries(path, on_progress):
        document = document_of(entry, columns)
        ids.add(document.id, path, entry.line, columns.id)
        yield document


def files_of(folder: Path) -> list[Path]:
    """Return the files of a folder and its subfolders that hold documents, in order: the texts, or else the shards."""
    every = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder)))
    texts = [path for path in every if path.suffix in TEXT_ENDINGS]
    return texts or [path for path in every if path.name.endswith(SHARD_ENDINGS)]


def write_documents(documents: Iterable[AnnotatedDocument], path: str | Path) -> int:
    """Write documents as JSON Lines, packed if the name says so, or as Parquet, and return how many."""
    if Path(path).suffix == ".parquet":
        return write_parquet_documents(documents, path)
    count = 0
    with atomic_write(path, "wb") as file, _packed(file, Path(path).suffix) as lines:
        for document in documents:
            lines.write((json.dumps(document_object(document), ensure_ascii=False) + "\n").encode())
            count += 1
    return count


def _documents(source: str | Path, columns: Columns, on_progress: OnProgress, ids: Ids) -> Iterator[AnnotatedDocument]:
    if isinstance(source, str) and source.startswith(PREFIX):
        return hub_documents(source, columns, ids)
    path = Path(source)
    if path.is_dir():
        files = files_of(path)
        if files and files[0].suffix not in TEXT_ENDINGS:
            return (document for file in files for document in _documents(file, columns, on_progress, ids))
        return _texts(files, path, on_progress)
    if path.suffix in TEXT_ENDINGS:
        return _texts([path], path.parent, on_progress)
    if path.suffix == ".json":
        return documents_from_paper(path, ids)
    if path.suffix == ".parquet":
        return parquet_documents(path, columns, on_progress, ids)
    if path.name.endswith(SHARD_ENDINGS):
        return read_lines(path, columns, on_progress, ids)
    reason = "must end in .jsonl, .parquet, .json, .txt or .md" if path.exists() else "no such file"
    raise InputError(reason, path=path)


def _texts(files: Iterable[Path], folder: Path, on_progress: OnProgress) -> Iterator[AnnotatedDocument]:
    for path in files:
        text = read_text(path)
        on_progress(len(text.encode()))
        if text.strip():
            yield AnnotatedDocument(path.relative_to(folder).as_posix(), text, title=title_of(text))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


@contextmanager
def _packed(file: IO[bytes], ending: str) -> Iterator[IO[bytes]]:
    """Open a file for writing, packed by its ending; equal contents give equal bytes."""
    if ending == ".gz":
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            yield cast(IO[bytes], packed)
    elif ending == ".bz2":
        with bz2.BZ2File(file, "wb") as packed:
            yield cast(IO[bytes], packed)
    else:
        yield file


def documents_from_paper(path: str | Path, ids: Ids | None = None) -> Iterator[AnnotatedDocument]:
    """Yield the documents of a file in the paper's JSON; an id is the example's own, or the file's name and its index.

    The format is `{"examples": [{"annotated_text", "text", ...}], "metadata": {...}}`. `annotated_text` holds the calls
    as `dblookup` markup, as language models wrote it: it is read leniently. Without its calls it is the document's
    plain text, which may differ from `text`, the original, as models alter what they annotate. An example without
    `annotated_text` has no calls. A title is `title`, or how the original begins. Raises `InputError` if the file
    cannot be read, is no JSON, has no `examples` or documents, or has an id twice; `ids` are those of other files.
    """
    if ids is None:
        with Ids() as own:
            yield from documents_from_paper(path, own)
        return
    source = Path(path)
    root = read_object(source)
    index = -1
    for index, example in enumerate(root.entries("examples")):
        id = example.text("id") if example.has("id") else f"{source.stem}-{index}"
        ids.add(id, source, field=f"{example.prefix}id")
        if example.has("annotated_text"):
            document = dblookup.parse(example.text("annotated_text"), id=id, lenient=True)
            yield replace(document, title=_title(example))
        else:
            yield AnnotatedDocument(id, example.text("text"), title=_title(example))
    if index < 0:
        raise InputError("holds no documents", path=source)


def documents_to_paper(documents: Iterable[AnnotatedDocument], path: str | Path) -> int:
    """Write documents in the paper's JSON, with their ids, and return how many."""
    count = 0
    with atomic_write(path) as file:
        file.write('{"examples": [')
        for document in documents:
            title = {"title": document.title} if document.title else {}
            example = {"id": document.id, **title, "annotated_text": dblookup.render(document), "text": document.text}
            file.write((",\n" if count else "\n") + json.dumps(example, ensure_ascii=False))
            count += 1
        file.write('\n], "metadata": {}}\n')
    return count


def _title(example: Entry) -> str:
    if example.has("title"):
        return example.text("title")
    return title_of(example.text("text")) if example.has("text") else ""
