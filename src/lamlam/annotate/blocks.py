"""A block of annotated documents: the piece of a shard that is made at once, and kept until the shard is whole.

Its file is JSON Lines, headed by an object of counts; it appears whole or not at all.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from lamlam.annotate.annotator import Annotator
from lamlam.corpus.lines import read_entries, write_objects
from lamlam.corpus.rows import document_object, document_of
from lamlam.errors import LamLamError
from lamlam.markup import AnnotatedDocument

__all__ = ["Counts", "TakesNotes", "annotate_block", "block_counts", "block_documents"]


@runtime_checkable
class TakesNotes(Protocol):
    """An annotator that counts what happens to it, such as facts without a place or calls that it dropped."""

    def take_notes(self) -> Counter[str]:
        """What it counted since it was last asked, by name."""
        ...


@dataclass(slots=True)
class Counts:
    """How many documents were annotated, their words and calls, and what the annotator noted."""

    documents: int = 0
    words: int = 0
    calls: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Counts") -> None:
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


def annotate_block(annotator: Annotator, documents: Sequence[AnnotatedDocument], path: Path) -> Counts:
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
    counts = Counts(len(annotated), words, calls, notes)
    write_objects([counts.as_json(), *map(document_object, annotated)], path)
    return counts


def block_counts(path: Path) -> Counts:
    """What the head of a block says."""
    with path.open("rb") as file:
        return Counts.from_json(json.loads(file.readline()))


def block_documents(path: Path) -> Iterator[AnnotatedDocument]:
    """The documents of a block."""
    entries = read_entries(path)
    next(entries)
    return map(document_of, entries)
