"""A copy of a knowledge base to edit and forget in, so that an evaluation never touches the user's file."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lamlam.kb.connect import connect
from lamlam.kb.copy import copy_database
from lamlam.kb.sqlite import SQLiteDatabase
from lamlam.kb.store import KnowledgeBase

__all__ = ["scratch_copy"]


@contextmanager
def scratch_copy(path: str | Path) -> Iterator[KnowledgeBase]:
    """The knowledge base at `path`, copied to a temporary folder that goes when the block ends.

    Raises what `KnowledgeBase.open` raises for a file that is missing or is none.
    """
    with closing(connect(path)) as original, tempfile.TemporaryDirectory(prefix="lamlam-") as folder:
        copy = Path(folder) / "kb.sqlite"
        if isinstance(original, SQLiteDatabase):
            original.back_up(copy)
        else:
            with closing(connect(copy, create=True)) as target:
                copy_database(original, target)
        original.close()
        with KnowledgeBase.open(copy) as kb:
            yield kb
