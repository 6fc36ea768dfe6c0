"""Annotates one shard, block by block, so that an interruption loses little.

A block's file is JSON Lines, headed by an object of counts; it appears whole or not at all, and is kept until the shard
is written.
"""

import glob
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Self

from lamlam.annotate.annotator import Annotator, TakesNotes
from lamlam.annotate.shards import Shard
from lamlam.batches import batches
from lamlam.corpus.documents import write_documents
from lamlam.corpus.lines import read_entries, write_objects
from lamlam.corpus.rows import document_object, document_of
from lamlam.errors import LamLamError
from lamlam.files import remove_torn
from lamlam.markup import AnnotatedDocument

__all__ = ["AnnotationCounts", "BlockEngine", "Progress", "ShardWork", "Task", "annotate_block"]

_DOCUMENTS = 64  # per block; the bytes of the shard don't depend on it


@dataclass(slots=True)
class AnnotationCounts:
    """How many documents were annotated, their words and calls, and the annotator's notes."""

    documents: int = 0
    words: int = 0
    calls: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, other: "AnnotationCounts") -> None:
        self.documents += other.documents
        self.words += other.words
        self.calls += other.calls
        self.notes.update(other.notes)

    def as_json(self) -> dict[str, Any]:
        notes = dict(sorted(self.notes.items()))
        return {"documents": self.documents, "words": self.words, "calls": self.calls, "notes": notes}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        return cls(stored["documents"], stored["words"], stored["calls"], Counter(stored["notes"]))


Task = tuple[Sequence[AnnotatedDocument], Path]
"""Documents, and the file of the block that they are written to."""

BlockEngine = Callable[[Iterable[Task]], Iterator[AnnotationCounts]]
"""Makes blocks, in any order, and yields the counts of each."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Callbacks for bytes of input read, documents annotated, and the name of the next stage."""

    read: Callable[[int], object] = lambda size: None
    made: Callable[[int], object] = lambda documents: None
    stage: Callable[[str], object] = lambda name: None


def annotate_block(annotator: Annotator, documents: Sequence[AnnotatedDocument], path: Path) -> AnnotationCounts:
    """Annotate documents and write them as the block `path`.

    Raises `LamLamError` if the annotator alters a text, or returns more or fewer documents.
    """
    annotated = list(annotator.annotate_many(documents))
    for before, after in zip(documents, annotated, strict=False):
        if (before.id, before.text) != (after.id, after.text):
            raise LamLamError(f"{annotator.name} altered the text of the document '{before.id}'")
    if len(annotated) != len(documents):
        raise LamLamError(f"{annotator.name} returned {len(annotated)} of {len(documents)} documents")
    counts = AnnotationCounts(
        documents=len(annotated),
        words=sum(len(document.text.split()) for document in annotated),
        calls=sum(len(document.calls) for document in annotated),
        notes=annotator.take_notes() if isinstance(annotator, TakesNotes) else Counter(),
    )
    write_objects([counts.as_json(), *map(document_object, annotated)], path)
    return counts


class ShardWork:
    """Makes the file `out` of a shard; its blocks are kept beside it, in a hidden folder.

    `maker` identifies annotator and settings: blocks of another maker are not used.
    """

    def __init__(self, shard: Shard, out: Path, maker: str) -> None:
        self.shard, self.out, self.maker = shard, out, maker

    @cached_property
    def digest(self) -> str:
        """The digest of the input."""
        return self.shard.digest()

    def run(self, engine: BlockEngine, progress: Progress) -> AnnotationCounts:
        """Make the missing blocks, then the file. Raises `InputError` for bad input; finished blocks are kept."""
        total = AnnotationCounts()
        paths: list[Path] = []
        existing: list[Path] = []
        for counts in engine(self._missing(paths, existing, progress.read)):
            progress.made(counts.documents)
            total.add(counts)
        for path in existing:
            with path.open("rb") as file:
                total.add(AnnotationCounts.from_json(json.loads(file.readline())))
        write_documents((document for path in paths for document in _block_documents(path)), self.out)
        return total

    def clear(self) -> None:
        """Remove all blocks, those of other makers too, and half-written files that a kill left."""
        for folder in self.out.parent.glob(f".{glob.escape(self.out.name)}.*.blocks"):
            shutil.rmtree(folder, ignore_errors=True)
        remove_torn(self.out)

    def _missing(self, paths: list[Path], existing: list[Path], on_read: Callable[[int], object]) -> Iterator[Task]:
        """Yield the blocks that don't exist yet; append all blocks to `paths`, and the others to `existing`."""
        key = hashlib.sha256(f"{self.maker} {self.digest}".encode()).hexdigest()[:12]
        blocks = self.out.with_name(f".{self.out.name}.{key}.blocks")
        for number, documents in zip(count(), batches(self.shard.read(on_read), _DOCUMENTS)):
            path = blocks / f"{number:08}.jsonl"
            paths.append(path)
            if path.exists():
                existing.append(path)
            else:
                yield documents, path


def _block_documents(path: Path) -> Iterator[AnnotatedDocument]:
    entries = read_entries(path)
    next(entries)
    return map(document_of, entries)
