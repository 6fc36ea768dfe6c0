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
from typing import Any, Protocol, Self, runtime_checkable

from lamlam.annotate.annotator import Annotator
from lamlam.annotate.shards import Shard
from lamlam.batches import batches
from lamlam.corpus.documents import write_documents
from lamlam.corpus.lines import read_entries, write_objects
from lamlam.corpus.rows import document_object, document_of
from lamlam.errors import LamLamError
from lamlam.files import remove_torn
from lamlam.markup import AnnotatedDocument

__all__ = [
    "AnnotationCounts",
    "Progress",
    "ShardWork",
    "TakesNotes",
    "annotate_block",
    "block_counts",
    "block_documents",
]

_DOCUMENTS = 64  # in a block; the bytes of the shard do not depend on it

Task = tuple[Sequence[AnnotatedDocument], Path]
"""Documents, and the file of the block that they are written to."""


@runtime_checkable
class TakesNotes(Protocol):
    """An annotator that counts what happens to it, such as facts without a place or calls that it dropped."""

    def take_notes(self) -> Counter[str]:
        """What it counted since it was last asked, by name."""
        ...


@dataclass(slots=True)
class AnnotationCounts:
    """How many documents were annotated, their words and calls, and what the annotator noted."""

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


Engine = Callable[[Iterable[Task]], Iterator[AnnotationCounts]]
"""Makes blocks, in any order, and yields the counts of each."""


def annotate_block(annotator: Annotator, documents: Sequence[AnnotatedDocument], path: Path) -> AnnotationCounts:
    """Annotate documents and write them as the block `path`.

    Raises `LamLamError` where the annotator gives back another text, or more or fewer of them.
    """
    annotated = list(annotator.annotate_many(documents))
    for before, after in zip(documents, annotated, strict=False):
        if (before.id, before.text) != (after.id, after.text):
            raise LamLamError(f"{annotator.name} altered the text of the document '{before.id}'")
    if len(annotated) != len(documents):
        raise LamLamError(f"{annotator.name} was given {len(documents)} documents and gave back {len(annotated)}")
    notes = annotator.take_notes() if isinstance(annotator, TakesNotes) else Counter()
    words, calls = sum(len(each.text.split()) for each in annotated), sum(len(each.calls) for each in annotated)
    counts = AnnotationCounts(len(annotated), words, calls, notes)
    write_objects([counts.as_json(), *map(document_object, annotated)], path)
    return counts


def block_counts(path: Path) -> AnnotationCounts:
    """What the head of a block says."""
    with path.open("rb") as file:
        return AnnotationCounts.from_json(json.loads(file.readline()))


def block_documents(path: Path) -> Iterator[AnnotatedDocument]:
    """The documents of a block."""
    entries = read_entries(path)
    next(entries)
    return map(document_of, entries)


@dataclass(frozen=True, slots=True)
class Progress:
    """Who is told how many bytes of input were read, how many documents were made, and what is done next."""

    read: Callable[[int], object] = lambda read: None
    made: Callable[[int], object] = lambda documents: None
    stage: Callable[[str], object] = lambda name: None


class ShardWork:
    """A shard on its way to the file `out`; its blocks stand beside it, in a hidden folder.

    `maker` tells what it is made by from all else: blocks of another are not used.
    """

    def __init__(self, shard: Shard, out: Path, maker: str) -> None:
        self.shard, self.out, self.maker = shard, out, maker

    @cached_property
    def digest(self) -> str:
        """That of the input."""
        return self.shard.digest()

    def run(self, engine: Engine, progress: Progress) -> AnnotationCounts:
        """Make what is missing, then the file. Raises `InputError` for bad input; what was made of it is kept."""
        total = AnnotationCounts()
        paths: list[Path] = []
        for counts in self._made(engine, paths, progress):
            total.add(counts)
        write_documents((document for path in paths for document in block_documents(path)), self.out)
        return total

    def clear(self) -> None:
        """Remove the blocks, those of others too, and what a kill left half-written."""
        for folder in self.out.parent.glob(f".{glob.escape(self.out.name)}.*.blocks"):
            shutil.rmtree(folder, ignore_errors=True)
        remove_torn(self.out)

    def _made(self, engine: Engine, paths: list[Path], progress: Progress) -> Iterator[AnnotationCounts]:
        held: list[Path] = []
        for counts in engine(self._missing(paths, held, progress.read)):
            progress.made(counts.documents)
            yield counts
        yield from map(block_counts, held)

    def _missing(self, paths: list[Path], held: list[Path], read: Callable[[int], object]) -> Iterator[Task]:
        """The blocks that are not there yet; on the way, `paths` gets all blocks, and `held` those that are there."""
        key = hashlib.sha256(f"{self.maker} {self.digest}".encode()).hexdigest()[:12]
        blocks = self.out.with_name(f".{self.out.name}.{key}.blocks")
        for number, documents in zip(count(), batches(self.shard.read(read), _DOCUMENTS)):
            paths.append(blocks / f"{number:08}.jsonl")
            if paths[-1].exists():
                held.append(paths[-1])
            else:
                yield documents, paths[-1]
