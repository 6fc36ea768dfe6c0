"""The pieces of a corpus that are annotated separately: a file of documents, a folder of texts, or a dataset."""

import glob
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lamlam.corpus.documents import SHARD_ENDINGS, TEXT_ENDINGS, files_of, read_documents
from lamlam.corpus.lines import Entry, OnProgress, read_entries
from lamlam.corpus.rows import Columns, Ids, document_of
from lamlam.corpus.split import stated_document
from lamlam.corpus.tables import PREFIX, hub_name
from lamlam.errors import InputError
from lamlam.files import file_digest, refuse_stream
from lamlam.markup import AnnotatedDocument, Call

__all__ = ["Shard", "find_shards", "is_one_file"]


@dataclass(frozen=True, slots=True)
class Shard:
    """Documents that are read together. `name` is the name of their output file."""

    name: str
    source: str
    files: tuple[Path, ...]
    columns: Columns

    @property
    def bytes(self) -> int:
        """The size of its files; 0 for a remote dataset."""
        return sum(path.stat().st_size for path in self.files)

    def digest(self) -> str:
        """Return a digest of its contents and of how they are read; of a remote dataset, of its name alone."""
        digest = hashlib.sha256(repr((self.columns, self.source if not self.files else "")).encode())
        for path in self.files:
            digest.update(f"{path.name} {file_digest(path)}\n".encode())
        return digest.hexdigest()

    def read(self, on_progress: OnProgress = lambda size: None) -> Iterator[AnnotatedDocument]:
        """Yield the documents. Triples of a text become calls at its start, as their places are unknown.

        Raises `InputError`, also if there are none.
        """
        if self.source.endswith(SHARD_ENDINGS) and ".jsonl" in self.source and Path(self.source).is_file():
            return self._lines(on_progress)
        return read_documents(self.source, self.columns, on_progress)

    def _lines(self, on_progress: OnProgress) -> Iterator[AnnotatedDocument]:
        found = False
        with Ids() as ids:
            for entry in read_entries(self.source, on_progress):
                found = True
                document = _stated(entry) if entry.has("triples") else document_of(entry, self.columns)
                ids.add(document.id, self.source, entry.line, self.columns.id)
                yield document
        if not found:
            raise InputError("holds no documents", path=self.source)


def _stated(entry: Entry) -> AnnotatedDocument:
    stated = stated_document(entry)
    calls = tuple(Call(fact.entity, fact.relation, fact.value, 0) for fact in stated.facts)
    return AnnotatedDocument(stated.id, stated.text, calls)


def find_shards(source: str, columns: Columns | None = None) -> list[Shard]:
    """Return the shards of a file, a folder, a pattern such as `web/*.jsonl.gz`, or `hf:NAME[:SPLIT[:CONFIG]]`.

    A folder's texts are one shard; without texts, each of its `.jsonl` and `.parquet` files is one. Raises `InputError`
    if there is nothing.
    """
    columns = columns or Columns()
    if source.startswith(PREFIX):
        return [Shard(f"{hub_name(source)}.jsonl", source, _local(source), columns)]
    path = Path(source)
    if path.is_dir():
        files = files_of(path)
        if not files:
            raise InputError("holds no documents", path=path)
        if files[0].suffix in TEXT_ENDINGS:
            return [Shard(f"{path.resolve().name or 'texts'}.jsonl", source, tuple(files), columns)]
        return [_of_file(file, file.relative_to(path), columns) for file in files]
    if path.exists() or not glob.has_magic(source):
        return [_of_file(path, Path(path.name), columns)]
    found = sorted(Path(name) for name in glob.glob(source, recursive=True) if Path(name).is_file())
    if not found:
        raise InputError("no file matches", path=source)
    return _named_apart([_of_file(file, Path(file.name), columns) for file in found])


def is_one_file(out: Path) -> bool:
    """Return whether an output path means one file, by its ending."""
    return out.name.endswith(SHARD_ENDINGS)


def _of_file(path: Path, name: Path, columns: Columns) -> Shard:
    refuse_stream(path)
    if not path.is_file():
        raise InputError("no such file", path=path)
    written = name if name.name.endswith(SHARD_ENDINGS) else name.with_suffix(".jsonl")
    return Shard(written.as_posix(), str(path), (path,), columns)


def _named_apart(shards: list[Shard]) -> list[Shard]:
    names: dict[str, str] = {}
    for shard in shards:
        if shard.name in names:
            raise InputError(f"has the same name as {names[shard.name]}", path=shard.source)
        names[shard.name] = shard.source
    return shards


def _local(address: str) -> tuple[Path, ...]:
    """Return the files of a dataset that is a local folder."""
    folder = Path(address.removeprefix(PREFIX).partition(":")[0])
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file())) if folder.is_dir() else ()
