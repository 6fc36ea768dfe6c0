"""Annotates one shard, block by block, so that what was made is not lost when the work is cut off."""

import glob
import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path

from lamlam.annotate.blocks import Counts, block_counts, block_documents
from lamlam.annotate.engines import Engine, Task
from lamlam.annotate.shards import Shard
from lamlam.batches import batches
from lamlam.corpus.documents import write_documents
from lamlam.files import remove_torn

__all__ = ["Progress", "ShardWork"]

_DOCUMENTS = 64  # in a block; the bytes of the shard do not depend on it


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

    def run(self, engine: Engine, progress: Progress) -> Counts:
        """Make what is missing, then the file. Raises `InputError` for bad input; what was made of it is kept."""
        total = Counts()
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

    def _made(self, engine: Engine, paths: list[Path], progress: Progress) -> Iterator[Counts]:
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
