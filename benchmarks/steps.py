"""The steps of `benchmarks.knowledge_base`, each a process: `python -m benchmarks.steps STEP FOLDER FACTS`."""

import json
import os
import random
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.scale import Scale, misspelt
from lamlam.kb import KnowledgeBase, Status
from lamlam.kb.files import import_file

LOOKUPS = 10_000
FUZZY = 1_000
OPENINGS = 20
AT_ONCE = 64


def import_(folder: Path, facts: int) -> dict[str, Any]:
    """Whole, from the command to the closed file."""
    started = time.perf_counter()
    with KnowledgeBase.open(folder / "kb.sqlite", create=True) as kb:
        report = import_file(kb, folder / "facts.jsonl")
    seconds = time.perf_counter() - started
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "seconds": seconds,
        "cpu_seconds": [round(use.ru_utime + use.ru_stime, 1) for use in used],
        "peak_MB": _megabytes(*used),
        "bytes": (folder / "kb.sqlite").stat().st_size,
        "known": report.known,
    }


def read(folder: Path, facts: int) -> dict[str, Any]:
    """Lookups of facts that are there, spread over the whole file; the first ones with none of it in memory."""
    path = folder / "kb.sqlite"
    sample = Scale(facts).sample(2 * LOOKUPS + 2 * FUZZY)
    _drop_from_memory(path)
    cold_opening = _seconds(lambda: KnowledgeBase.open(path).close())
    openings = [_seconds(lambda: KnowledgeBase.open(path).close()) for _ in range(OPENINGS)]
    with KnowledgeBase.open(path) as kb:
        _drop_from_memory(path)
        cold = _lookups(kb, sample[:FUZZY])
        _lookups(kb, sample[:LOOKUPS])
        warm = _lookups(kb, sample[LOOKUPS : 2 * LOOKUPS])
        pairs = [(entity, relation) for entity, relation, _ in sample[: 2 * LOOKUPS]]
        batches = [pairs[start : start + AT_ONCE] for start in range(0, len(pairs), AT_ONCE)]
        together = sum(_seconds(lambda batch=batch: kb.lookup_many(batch)) for batch in batches)
        fuzzy, right, wrong = _fuzzy(kb, sample[2 * LOOKUPS :])
    return {
        "opening_ms": _ms(statistics.median(openings)),
        "opening_first_ms": _ms(cold_opening),
        "lookup_median_us": round(statistics.median(warm) * 1e6, 1),
        "lookup_p99_ms": _ms(_p99(warm)),
        "lookup_first_median_us": round(statistics.median(cold) * 1e6, 1),
        "lookup_first_p99_ms": _ms(_p99(cold)),
        "lookups_a_second_64_at_once": round(len(pairs) / together),
        "fuzzy_median_ms": _ms(statistics.median(fuzzy)),
        "fuzzy_p99_ms": _ms(_p99(fuzzy)),
        "fuzzy_right": right,
        "fuzzy_wrong": wrong,
        "fuzzy_asked": len(fuzzy),
        "reader_peak_MB": _megabytes(resource.getrusage(resource.RUSAGE_SELF)),
    }


def forget(folder: Path, facts: int) -> dict[str, Any]:
    """One fact: how long until another connection is told that it was forgotten, and until the file is clean."""
    path = folder / "kb.sqlite"
    entity, relation, value = Scale(facts).sample(1, seed=2)[0]
    with KnowledgeBase.open(path) as kb, _watched(path, entity, relation) as seen:
        fact = next(fact.id for fact in kb.lookup(entity, relation).facts if fact.value == value)
        started = time.perf_counter()
        certificate = kb.forget(fact, reason="asked for")
        erased = time.perf_counter() - started
    return {
        "visible_ms": _ms(seen[0] - started),
        "erased_seconds": round(erased, 2),
        "clean": bool(certificate.clean),
    }


def _lookups(kb: KnowledgeBase, facts: list[tuple[str, str, str]]) -> list[float]:
    times = []
    for entity, relation, value in facts:
        started = time.perf_counter()
        found = kb.lookup(entity, relation)
        times.append(time.perf_counter() - started)
        assert found.status is Status.EXACT
        assert value in found.values
    return times


def _fuzzy(kb: KnowledgeBase, facts: list[tuple[str, str, str]]) -> tuple[list[float], int, int]:
    """Seconds, and how many answers were right and wrong: misspelt entities, and relations with their words turned."""
    rng = random.Random(0)
    times, right, wrong = [], 0, 0
    for place, (entity, relation, value) in enumerate(facts):
        turned = " ".join(reversed(relation.split()))
        query = (entity, turned) if place % 2 and turned != relation else (misspelt(entity, rng), relation)
        started = time.perf_counter()
        found = kb.lookup(*query)
        times.append(time.perf_counter() - started)
        right += value in found.values
        wrong += found.found and value not in found.values
    return times, right, wrong


@contextmanager
def _watched(path: Path, entity: str, relation: str) -> Iterator[list[float]]:
    """When another connection first found less in a slot than there was."""
    seen: list[float] = []

    def watch() -> None:
        with KnowledgeBase.open(path) as other:
            held = len(other.lookup(entity, relation).facts)
            ready.set()
            while len(other.lookup(entity, relation).facts) == held:
                time.sleep(0.0005)
            seen.append(time.perf_counter())

    ready = threading.Event()
    thread = threading.Thread(target=watch)
    thread.start()
    ready.wait()
    yield seen
    thread.join()


def _drop_from_memory(path: Path) -> None:
    """Let the operating system forget the file's content."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _megabytes(*used: resource.struct_rusage) -> int:
    return round(sum(use.ru_maxrss for use in used) * 1024 / 1e6)


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    step, folder, facts = sys.argv[1:]
    print(json.dumps({"import": import_, "read": read, "forget": forget}[step](Path(folder), int(facts))))
