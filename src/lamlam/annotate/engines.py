"""Who makes the blocks of a shard: this process, or several."""

import multiprocessing
import pickle
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path

from lamlam.annotate.annotator import Annotator
from lamlam.annotate.blocks import Counts, annotate_block
from lamlam.errors import LamLamError
from lamlam.markup import AnnotatedDocument

__all__ = ["Engine", "Task", "processes", "this_process"]

Task = tuple[Sequence[AnnotatedDocument], Path]
"""Documents, and the block that they are written to."""

Engine = Callable[[Iterable[Task]], Iterator[Counts]]
"""Makes blocks, in whatever order, and tells the counts of each."""

_AHEAD = 2  # blocks for each worker that are read before they are asked for


@contextmanager
def this_process(annotator: Annotator) -> Iterator[Engine]:
    """Makes one block after the other."""
    yield lambda tasks: (annotate_block(annotator, *task) for task in tasks)


def processes(annotator: Annotator, workers: int) -> AbstractContextManager[Engine]:
    """Makes blocks in `workers` processes, each with its copy of the annotator, or in this one for less than two.

    Raises `LamLamError` for an annotator that cannot be copied.
    """
    return this_process(annotator) if workers < 2 else _several(annotator, workers)


@contextmanager
def _several(annotator: Annotator, workers: int) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="lamlam-") as folder:
        copy = Path(folder) / "annotator.pickle"
        try:
            copy.write_bytes(pickle.dumps(annotator))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise LamLamError(f"{annotator.name} runs in one process alone, so --workers must be 1") from error
        # Started afresh, not forked: the annotator's library may have threads of its own.
        pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
        try:
            yield lambda tasks: _shared_out(pool, copy, tasks, _AHEAD * workers)
        except BrokenProcessPool as error:
            raise LamLamError("a worker process ended before its time; the same command goes on from here") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _shared_out(pool: ProcessPoolExecutor, copy: Path, tasks: Iterable[Task], ahead: int) -> Iterator[Counts]:
    waiting: deque[Future[Counts]] = deque()
    for documents, path in tasks:
        waiting.append(pool.submit(_make, copy, documents, path))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _make(copy: Path, documents: Sequence[AnnotatedDocument], path: Path) -> Counts:
    return annotate_block(_unpacked(copy), documents, path)


@lru_cache(maxsize=1)
def _unpacked(copy: Path) -> Annotator:
    """The worker's own annotator, from this program's own file."""
    annotator: Annotator = pickle.loads(copy.read_bytes())
    return annotator
