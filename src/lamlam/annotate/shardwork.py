"""Annotates one shard, block by block, so that what was made is not lost when the work is cut off."""

import glob
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from pathlib import Path

from lamlam.annotate.blocks import Counts, block_counts, block_documents
from lamlam.annotate.engines import Engine, Task
from lamlam.annotate.shards import Shard
from lamlam.corpus.documents import write_documents
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument

__all__ = ["Progress", "ShardWork"]

_DOCUMENTS = 64  # in a block; the bytes of the shard do not depend on it


@dataclass(frozen=True, slots=True)
class Progress:
    """Who is told how many bytes of input were read, how many documents were made, and what is done next."""

    read: Callable[[int], object] = lambda read: None
    made: Callable[[int], object] = lambda documents: None
    stage: Callable[[str], object] = lambda name: None


class ShardWork:
    """A shard on its way to the file `out`; its blocks stand beside it, in a hidden folder."""

    def __init__(self, shard: Shard, out: Path) -> None:
        self.shard, self.out = shard, out

    @cached_property
    def digest(self) -> str:
        """That of the input."""
        return self.shard.digest()

    def run(self, engine: Engine, progress: Progress) -> Counts:
        """Make what is missing, then the file.

        Bad input raises `InputError`, and then no block is left: mended input is other input.
        """
        total = Counts()
        paths: list[Path] = []
        try:
            for counts in self._made(engine, paths, progress):
                total.add(counts)
        except InputError:
            self.clear()
            raise
        write_documents((document for path in paths for document in block_documents(path)), self.out)
        return total

    def clear(self) -> None:
        """Remove the blocks, and those of other input."""
        name = glob.escape(self.out.name)
        for folder in self.out.parent.glob(f".{name}.*.blocks"):
            shutil.rmtree(folder, ignore_errors=True)
        for torn in self.out.parent.glob(f".{name}.*.tmp"):
            torn.unlink(missing_ok=True)

    def _made(self, engine: Engine, paths: list[Path], progress: Progress) -> Iterator[Counts]:
        held: list[Path] = []
        for counts in engine(self._missing(paths, held, progress.read)):
            progress.made(counts.documents)
            yield counts
        yield from map(block_counts, held)

    def _missing(self, paths: list[Path], held: list[Path], read: Callable[[int], object]) -> Iterator[Task]:
        """The blocks that are not there yet; on the way, `paths` gets all blocks, and `held` those that are there."""
        blocks = self.out.with_name(f".{self.out.name}.{self.digest[:12]}.blocks")
        for number, documents in zip(count(), _cut(self.shard.read(read))):
            paths.append(blocks / f"{number:08}.jsonl")
            if paths[-1].exists():
                held.append(paths[-1])
            else:
                yield documents, paths[-1]


def _cut(documents: Iterable[AnnotatedDocument]) -> Iterator[list[AnnotatedDocument]]:
    rest = iter(documents)
    while block := list(islice(rest, _DOCUMENTS)):
        yield block
