"""What runs the work on shards: this process, several processes, or Ray.

Ray is optional: the extra `ray` brings it. `RAY_ADDRESS` names a cluster; without it, Ray is started on this machine.
"""

import logging
import multiprocessing
import pickle
import signal
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from lamlam.annotate.annotator import Annotator
from lamlam.annotate.shard_work import AnnotationCounts, BlockEngine, Progress, ShardWork, Task, annotate_block
from lamlam.corpus.tables import PREFIX
from lamlam.errors import InputError, LamLamError, needs_extra
from lamlam.markup import AnnotatedDocument

__all__ = ["processes", "run_on_ray", "this_process"]

_AHEAD = 2  # blocks per worker that are read ahead


@contextmanager
def this_process(annotator: Annotator) -> Iterator[BlockEngine]:
    """Make one block after the other."""
    yield lambda tasks: (annotate_block(annotator, *task) for task in tasks)


def processes(annotator: Annotator, workers: int) -> AbstractContextManager[BlockEngine]:
    """Make blocks in `workers` processes, each with its copy of the annotator, or in this one if there is only one.

    Raises `LamLamError` for an annotator that cannot be copied.
    """
    return this_process(annotator) if workers < 2 else _several(annotator, workers)


@contextmanager
def _several(annotator: Annotator, workers: int) -> Iterator[BlockEngine]:
    with tempfile.TemporaryDirectory(prefix="lamlam-") as folder:
        copy = Path(folder) / "annotator.pickle"
        try:
            copy.write_bytes(pickle.dumps(annotator))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise LamLamError(f"{annotator.name} runs in one process only, so --workers must be 1") from error
        # Spawned, not forked: the annotator's library may have threads of its own.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, context, initializer=_ignore_interrupts)
        try:
            yield lambda tasks: _distributed(pool, copy, tasks, _AHEAD * workers)
        except BrokenProcessPool as error:
            raise LamLamError("a worker process died; run the same command again to continue from here") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _distributed(
    pool: ProcessPoolExecutor, copy: Path, tasks: Iterable[Task], ahead: int
) -> Iterator[AnnotationCounts]:
    waiting: deque[Future[AnnotationCounts]] = deque()
    for documents, path in tasks:
        waiting.append(pool.submit(_make, copy, documents, path))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _ignore_interrupts() -> None:
    """Leave them to the first process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _make(copy: Path, documents: Sequence[AnnotatedDocument], path: Path) -> AnnotationCounts:
    return annotate_block(_unpickled(copy), documents, path)


@lru_cache(maxsize=1)
def _unpickled(copy: Path) -> Annotator:
    """Return the worker's own annotator; the file was written by this program."""
    annotator: Annotator = pickle.loads(copy.read_bytes())
    return annotator


def run_on_ray(
    works: Sequence[ShardWork], annotator: Annotator, workers: int, progress: Progress
) -> Iterator[tuple[ShardWork, AnnotationCounts]]:
    """Make whole shards on `workers` Ray workers, each with its copy of the annotator; yield the finished ones.

    Raises `LamLamError` if Ray isn't installed, and whatever a worker raised.
    """
    with needs_extra("ray", "the engine ray"):
        import ray
        import ray.data
    if not works:
        return
    with _ray(ray):
        numbers = ray.data.from_items([{"number": at} for at in range(len(works))], override_num_blocks=len(works))
        made = numbers.map(
            cast(Any, _RayWorker),  # a class: instantiated once per worker
            fn_constructor_args=([_absolute(work) for work in works], annotator),
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(works))),
        )
        for row in made.iter_rows():
            if row["error"]:
                raise (InputError if row["input"] else LamLamError)(row["error"])
            work, counts = works[row["number"]], AnnotationCounts.from_json(row["counts"])
            progress.read(work.shard.bytes)
            progress.made(counts.documents)
            yield work, counts


@contextmanager
def _ray(ray: Any) -> Iterator[None]:
    """Silence Ray; start it if it isn't running, and stop it at the end of the block."""
    ours = not ray.is_initialized()
    if ours:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def _absolute(work: ShardWork) -> ShardWork:
    """Return the same work with absolute paths, for other machines that share the file system."""
    shard = work.shard
    if shard.files and not shard.source.startswith(PREFIX):
        shard = replace(shard, source=str(Path(shard.source).resolve()))
    moved = ShardWork(
        replace(shard, files=tuple(path.resolve() for path in shard.files)), work.out.resolve(), work.maker
    )
    moved.digest = work.digest
    return moved


class _RayWorker:
    def __init__(self, works: list[ShardWork], annotator: Annotator) -> None:
        self._works, self._annotator = works, annotator

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        work, counts, message, is_input = self._works[row["number"]], AnnotationCounts(), "", False
        try:
            with this_process(self._annotator) as engine:
                counts = work.run(engine, Progress())
        except LamLamError as error:  # returned, as Ray would report its own traceback instead
            message, is_input = str(error), isinstance(error, InputError)
            if is_input:
                work.clear()
        return {"number": row["number"], "counts": counts.as_json(), "error": message, "input": is_input}
