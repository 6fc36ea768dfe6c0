"""A minute of one writer and eight reading processes on one file: every answer is of one whole revision."""

import multiprocessing
import time
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from lamlam.kb import KnowledgeBase, Status

__all__ = ["AIMS", "several"]

AIMS = {"errors": "<= 0", "torn_reads": "<= 0", "readers_ended_well": ">= 8"}
READERS = 8
SECONDS = 60.0
_MISSES = (Status.FORGOTTEN, Status.UNKNOWN_ENTITY, Status.UNKNOWN_RELATION)


def several(folder: Path) -> dict[str, Any]:
    """Each revision edits two facts, which must agree in every answer; with every 100th a third fact is forgotten."""
    path = folder / "several.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb.add([("Left", "count", "0"), ("Right", "count", "0")])
        kb.add((f"Entity {number}", "relation", f"value {number}") for number in range(20_000))
    context = multiprocessing.get_context("spawn")
    told: Queue[tuple[int, int, str]] = context.Queue()
    until = time.time() + SECONDS
    readers = [context.Process(target=_read, args=(path, until, told)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    revisions, forgotten = _write(path, until)
    counts = [told.get() for _ in readers]
    for reader in readers:
        reader.join()
    with KnowledgeBase.open(path) as kb:
        faults = kb.verify()
    return {
        "seconds": SECONDS,
        "readers": READERS,
        "revisions": revisions,
        "forgettings": forgotten,
        "answers": sum(answers for answers, _, _ in counts),
        "torn_reads": sum(torn for _, torn, _ in counts),
        "errors": sum(bool(error) for _, _, error in counts),
        "readers_ended_well": sum(reader.exitcode == 0 for reader in readers),
        "faults_found_by_verify": len(faults),
    }


def _write(path: Path, until: float) -> tuple[int, int]:
    count = forgotten = 0
    with KnowledgeBase.open(path) as kb:
        while time.time() < until:
            count += 1
            with kb.transaction():
                for side in ("Left", "Right"):
                    kb.edit(kb.lookup(side, "count").facts[0].id, value=str(count))
            if count % 100 == 0:
                kb.add([("Fleeting", "count", str(count))], allow=True)
                kb.forget(entity="Fleeting")
                forgotten += 1
    return count, forgotten


def _read(path: Path, until: float, told: "Queue[tuple[int, int, str]]") -> None:
    answers = torn = seen = 0
    error = ""
    try:
        with KnowledgeBase.open(path) as kb:
            while time.time() < until:
                left, right, gone = kb.lookup_many([(name, "count") for name in ("Left", "Right", "Fleeting")])
                whole = left.values == right.values and len(left.values) == 1 and int(left.text) >= seen
                torn += not (whole and (gone.found or gone.status in _MISSES))
                seen = int(left.text)
                answers += 3
    except Exception as fault:  # noqa: BLE001 - whatever it is, it is counted
        error = f"{type(fault).__name__}: {fault}"
    told.put((answers, torn, error))
