"""Annotates whole corpora: shards in, shards out, and their facts into a knowledge base.

A run that was cut off goes on where it was, and leaves the same bytes as one that was not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lamlam.annotate.annotator import Annotator
from lamlam.annotate.blocks import Counts
from lamlam.annotate.engines import processes
from lamlam.annotate.harvest import add_facts, check_knowledge_base
from lamlam.annotate.ledger import Ledger, ledger_file
from lamlam.annotate.shards import Shard, is_one_file
from lamlam.annotate.shardwork import Progress, ShardWork
from lamlam.errors import InputError
from lamlam.kb import AddReport

__all__ = ["Tally", "annotate_corpus"]


@dataclass(slots=True)
class Tally:
    """The counts of all shards, and what the knowledge base did with the facts; None where none was named."""

    counts: Counts = field(default_factory=Counts)
    knowledge_base: AddReport | None = None


def annotate_corpus(
    shards: Sequence[Shard],
    out: Path,
    annotator: Annotator,
    *,
    workers: int = 1,
    engine: Literal["local", "ray"] = "local",
    knowledge_base: str | Path | None = None,
    anew: bool = False,
    progress: Progress | None = None,
) -> Tally:
    """Annotate shards into `out`: one file where its name ends as one, else a folder with a file for each shard.

    Shards that are made already are not made again; `anew` makes all again. `engine` says who works: `workers`
    processes here, or those of Ray. Facts go into `knowledge_base`, made where it is missing: those that the calls
    state, with document and span, and those that the annotator was given. Raises `InputError` for input that cannot be
    read, and where `out` holds what another annotator, other settings or other input made.
    """
    works = _works(shards, out)
    check_knowledge_base(knowledge_base)
    progress = progress or Progress()
    ledger, tally = Ledger(out, annotator), Tally()
    ledger.begin([work.shard.name for work in works], anew=anew)
    try:
        missing = []
        for work in works:
            made = ledger.finished(work.shard.name, work.digest) if work.out.exists() else None
            if made is None:
                missing.append(work)
                continue
            tally.counts.add(made)
            progress.read(work.shard.bytes)
            work.clear()
        for work, counts in _run(missing, annotator, workers, engine, progress):
            ledger.finish(work.shard.name, work.digest, counts)
            tally.counts.add(counts)
            work.clear()
    except InputError:
        ledger.abandon()
        raise
    ledger.complete(tally.counts)
    if knowledge_base is not None:
        progress.stage("adding facts")
        tally.knowledge_base = add_facts(works, annotator, knowledge_base)
    return tally


def _run(
    works: Sequence[ShardWork], annotator: Annotator, workers: int, engine: str, progress: Progress
) -> Iterator[tuple[ShardWork, Counts]]:
    if engine == "ray":
        from lamlam.annotate.on_ray import run_on_ray

        yield from run_on_ray(works, annotator, workers, progress)
        return
    with processes(annotator, workers) as made:
        for work in works:
            yield work, work.run(made, progress)


def _works(shards: Sequence[Shard], out: Path) -> list[ShardWork]:
    """What is to be made of each shard. Raises `InputError` where that has no place, or is the input."""
    if is_one_file(out):
        if len(shards) > 1:
            raise InputError(f"is one file, but there are {len(shards)} to be written: name a folder", path=out)
        places = [out]
    else:
        places = [out / shard.name for shard in shards]
        if out.is_file():
            raise InputError("is a file, where a folder is needed", path=out)
        if out.is_dir() and any(out.iterdir()) and not ledger_file(out).exists():
            raise InputError("holds files that are no annotation: name another folder, or an empty one", path=out)
    for shard, place in zip(shards, places, strict=True):
        if any(place.resolve() == path.resolve() for path in shard.files):
            raise InputError("would be written over: name another place for what is made of it", path=place)
    return [ShardWork(shard, place) for shard, place in zip(shards, places, strict=True)]
