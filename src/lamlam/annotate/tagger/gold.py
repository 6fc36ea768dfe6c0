"""The gold documents that a tagger learns from: one collection a file, split by title."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lamlam.annotate.score import Split, gold_split
from lamlam.corpus.files import read_documents
from lamlam.errors import InputError
from lamlam.files import file_digest
from lamlam.markup import AnnotatedDocument

__all__ = ["Collection", "read_gold"]


@dataclass(frozen=True, slots=True)
class Collection:
    """A file's documents to learn from and to calibrate with; the test split is left out. `digest` is the file's."""

    name: str
    digest: str
    train: list[AnnotatedDocument]
    calibration: list[AnnotatedDocument]


def read_gold(paths: Sequence[Path]) -> list[Collection]:
    """The collections of the files, in order. Raises `InputError` for one with nothing to learn from."""
    return [_read(path) for path in paths]


def _read(path: Path) -> Collection:
    if not path.is_file():
        raise InputError("gold must be a file", path=path)
    sides: dict[Split, list[AnnotatedDocument]] = {split: [] for split in Split}
    for document in read_documents(path):
        sides[gold_split(document)].append(document)
    if not any(document.calls for document in sides[Split.TRAIN]):
        raise InputError("holds no annotated document on the side to learn from", path=path)
    return Collection(path.stem, file_digest(path), sides[Split.TRAIN], sides[Split.CALIBRATION])
