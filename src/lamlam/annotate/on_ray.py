"""The same work on Ray Data: each worker takes whole shards, and writes them where all machines see them.

The library is optional: the extra `ray` brings it. `RAY_ADDRESS` names a cluster; without it, Ray is started here.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from lamlam.annotate.annotator import Annotator
from lamlam.annotate.blocks import Counts
from lamlam.annotate.engines import this_process
from lamlam.annotate.shardwork import Progress, ShardWork
from lamlam.corpus.tables import PREFIX
from lamlam.errors import InputError, LamLamError

__all__ = ["run_on_ray"]


def run_on_ray(
    works: Sequence[ShardWork], annotator: Annotator, workers: int, progress: Progress
) -> Iterator[tuple[ShardWork, Counts]]:
    """Make shards on `workers` workers, each with its copy of the annotator; yields those that are made.

    Raises `LamLamError` where Ray is not installed, and what a worker raised.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise LamLamError("the engine ray needs the extra 'ray': pip install 'lamlam[ray]'") from error
    if not works:
        return
    with _ray(ray):
        numbers = ray.data.from_items([{"number": at} for at in range(len(works))], override_num_blocks=len(works))
        made = numbers.map(
            cast(Any, _Worker),  # a class: made once on each worker
            fn_constructor_args=([_absolute(work) for work in works], annotator),
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(works))),
        )
        for row in made.iter_rows():
            if row["error"]:
                raise (InputError if row["input"] else LamLamError)(row["error"])
            work, counts = works[row["number"]], Counts.from_json(row["counts"])
            progress.read(work.shard.bytes)
            progress.made(counts.documents)
            yield work, counts


@contextmanager
def _ray(ray: Any) -> Iterator[None]:
    """Ray, quiet; where it does not run yet, from here to the end of the block."""
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
    """The same work, whose files are found from any folder of another machine that sees them."""
    shard = work.shard
    if shard.files and not shard.source.startswith(PREFIX):
        shard = replace(shard, source=str(Path(shard.source).resolve()))
    moved = ShardWork(
        replace(shard, files=tuple(path.resolve() for path in shard.files)), work.out.resolve(), work.maker
    )
    moved.digest = work.digest
    return moved


class _Worker:
    def __init__(self, works: list[ShardWork], annotator: Annotator) -> None:
        self._works, self._annotator = works, annotator

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        told = {"number": row["number"], "counts": Counts().as_json(), "error": "", "input": False}
        work = self._works[row["number"]]
        try:
            with this_process(self._annotator) as engine:
                counts = work.run(engine, Progress())
        except LamLamError as error:  # told here, as Ray would show where it happened instead
            if isinstance(error, InputError):
                work.clear()
            return told | {"error": str(error), "input": isinstance(error, InputError)}
        return told | {"counts": counts.as_json()}
