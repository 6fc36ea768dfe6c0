"""A copy of a knowledge base to edit and forget in, so that an evaluation never touches the user's file."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lamlam.kb.connect import connect, is_url
from lamlam.kb.copy import copy_database
from lamlam.kb.store import KnowledgeBase

__all__ = ["scratch_copy"]


@contextmanager
def scratch_copy(path: str | Path) -> Iterator[KnowledgeBase]:
    """The knowledge base at `path`, copied to a temporary folder that goes when the block ends.

    Raises what `KnowledgeBase.open` raises for a file that is missing or is none.
    """
    with KnowledgeBase.open(path):
        pass  # a file that is no knowledge base is told here, by its own name
    with tempfile.TemporaryDirectory(prefix="lamlam-") as folder:
        copy = Path(folder) / "kb.sqlite"
        if is_url(path):
            with closing(connect(path)) as original, closing(connect(copy, create=True)) as target:
                copy_database(original, target)
        else:
            _back_up(Path(path), copy)
        with KnowledgeBase.open(copy) as kb:
            yield kb


def _back_up(path: Path, copy: Path) -> None:
    """By SQLite's own backup, which also takes what still stands in the write-ahead log."""
    uri = f"{path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as original, closing(sqlite3.connect(copy)) as target:
        original.backup(target)
