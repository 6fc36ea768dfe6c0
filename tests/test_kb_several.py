"""Several at once, and one that dies: readers see whole revisions, and a killed writer leaves no half of one."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lamlam.errors import LamLamError
from lamlam.kb import KnowledgeBase, Status
from places import Place

BATCH = 40
KILLS = 200
READERS = 8
REVISIONS = 400


def _child(work: Callable[[], None]) -> int:
    """Run `work` in a process of its own, which ends with 1 where it failed."""
    number = os.fork()
    if number:
        return number
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - the parent is told by the exit code
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)
    os._exit(0)


def _joined(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# Killed at any moment


def _facts(batch: int) -> list[tuple[str, str, str]]:
    return [(f"entity-{batch:05}", f"relation {number % 5}", f"value-{batch:05}-{number}") for number in range(BATCH)]


def _write_until_killed(path: Path, acknowledged: int, first: int, seed: int) -> None:
    """Import, edit and forget in turn, and tell each one that is done: a line `VERB BATCH`."""
    rng = random.Random(seed)
    with KnowledgeBase.open(path) as kb:
        os.write(acknowledged, b"ready\n")
        for batch in range(first, first + 50):
            kb.add(_facts(batch))
            os.write(acknowledged, f"import {batch}\n".encode())
            fact = rng.choice(kb.lookup(f"entity-{batch:05}", "relation 1").facts)
            kb.edit(fact.id, value=f"edited-{batch:05}")
            os.write(acknowledged, f"edit {batch}\n".encode())
            if batch % 2:
                kb.forget(entity=f"entity-{batch:05}")
                os.write(acknowledged, f"forget {batch}\n".encode())


def _check(path: Path, batches: range, done: dict[int, str]) -> None:
    """What was acknowledged is there; of what was not, all or nothing."""
    with KnowledgeBase.open(path) as kb:
        assert kb.verify() == []
        held = {batch: list(kb.facts(f"entity-{batch:05}")) for batch in batches}
        gone = {batch for batch in batches if kb.lookup(f"entity-{batch:05}", "x").status is Status.FORGOTTEN}
        ended = {
            batch: kb.history(entity=f"entity-{batch:05}", relation="relation 1") for batch in batches if held[batch]
        }
    content = b"".join(each.read_bytes() for each in path.parent.iterdir())
    for batch in batches:
        acknowledged = done.get(batch)
        assert len(held[batch]) in (0, BATCH)
        edited = any(fact.until for fact in ended.get(batch, ()))
        assert held[batch] or acknowledged is None or (batch % 2 and acknowledged in ("edit", "forget"))
        assert not held[batch] or not (acknowledged in ("edit", "forget") and not edited)
        assert acknowledged != "forget" or batch in gone
        assert (batch in gone) <= (not held[batch])
        if batch in gone:
            for text in (f"entity-{batch:05}", f"value-{batch:05}-7", f"edited-{batch:05}"):
                assert text.encode() not in content


@pytest.mark.slow
def test_two_hundred_kills_leave_no_half_of_a_revision(tmp_path: Path) -> None:
    path = tmp_path / "kb" / "kb.sqlite"
    path.parent.mkdir()
    KnowledgeBase.open(path, create=True).close()
    rng = random.Random(7)
    done: dict[int, str] = {}
    began = 0
    for kill in range(KILLS):
        out, into = os.pipe()
        child = _child(lambda into=into, began=began, kill=kill: _write_until_killed(path, into, began, kill))
        os.close(into)
        with os.fdopen(out) as told:
            assert told.readline() == "ready\n"
            seen = [told.readline() for _ in range(rng.randrange(6))]  # however slow the machine is
            time.sleep(rng.expovariate(1 / 0.01))
            os.kill(child, signal.SIGKILL)
            for line in (*seen, *told):
                verb, batch = line.split()
                done[int(batch)] = verb
        assert _joined(child) in (-signal.SIGKILL, 0)
        last = max([began - 1, *done])
        _check(path, range(began, last + 2), done)
        began = last + 2
    assert {"import", "edit", "forget"} <= set(done.values())
    with KnowledgeBase.open(path) as kb:
        assert kb.verify() == []


# One writer, eight readers


def _read(place: Place, stop: Path) -> None:
    """The pair is always of one revision, and never older than one that was seen before."""
    seen = 0
    with place.open() as kb:
        while not stop.exists():
            left, right, fleeting = kb.lookup_many([("Left", "count"), ("Right", "count"), ("Fleeting", "count")])
            assert left.values == right.values
            assert len(left.values) == 1
            assert fleeting.status in (Status.EXACT, Status.FORGOTTEN, Status.UNKNOWN_ENTITY, Status.UNKNOWN_RELATION)
            assert int(left.values[0]) >= seen
            seen = int(left.values[0])
            assert {fact.value for fact in kb.facts("Left")} <= {str(number) for number in range(seen, seen + 10**6)}


def test_readers_see_whole_revisions_while_one_writes_and_forgets(place: Place, tmp_path: Path) -> None:
    with place.open(create=True) as kb:
        kb.add([("Left", "count", "0"), ("Right", "count", "0")])
    stop = tmp_path / "stop"
    readers = [_child(lambda: _read(place, stop)) for _ in range(READERS)]
    try:
        with place.open() as kb:
            for count in range(1, REVISIONS + 1):
                with kb.transaction():
                    for side in ("Left", "Right"):
                        kb.edit(kb.lookup(side, "count").facts[0].id, value=str(count))
                if count % (REVISIONS // 4) == 0:
                    kb.add([("Fleeting", "count", f"fleeting {count}")], allow=True)
                    kb.forget(entity="Fleeting")
    finally:
        stop.touch()
        ended = [_joined(reader) for reader in readers]
    assert ended == [0] * READERS
    with place.open() as kb:
        assert kb.verify() == []
        assert kb.lookup("Left", "count").values == (str(REVISIONS),)


def test_two_writers_take_turns(place: Place) -> None:
    place.open(create=True).close()

    def write(name: str) -> None:
        with place.open() as kb:
            for number in range(60):
                kb.add([(name, "number", str(number)), ("Shared", "number", str(number))])

    writers = [_child(lambda name=name: write(name)) for name in ("A", "B", "C")]
    assert [_joined(writer) for writer in writers] == [0, 0, 0]
    with place.open() as kb:
        assert kb.verify() == []
        assert [len(list(kb.facts(name))) for name in ("A", "B", "C", "Shared")] == [60] * 4
        assert len(kb.log()) == 180


def test_a_writer_that_waits_too_long_is_told(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb, KnowledgeBase.open(path) as other:
        other._database.run("PRAGMA busy_timeout = 20")
        with kb.transaction(), pytest.raises(LamLamError, match="being written to by another program"):
            other.add([("A", "b", "c")])
        other.add([("A", "b", "c")])


# Opened by another program meanwhile


def test_another_program_that_opens_and_closes_the_file_takes_nothing_away(tmp_path: Path) -> None:
    """SQLite's locks are the process's: opened twice here, the file must not lose them by the second opening."""
    path = tmp_path / "kb.sqlite"
    other = "import sys; from lamlam.kb import KnowledgeBase; KnowledgeBase.open(sys.argv[1]).close()"
    with KnowledgeBase.open(path, create=True) as writer, KnowledgeBase.open(path) as reader:
        for number in range(3):
            writer.add([("Ada", "field", f"value {number}")])
            assert len(reader.lookup("Ada", "field").values) == number + 1
            subprocess.run([sys.executable, "-c", other, str(path)], check=True)
        assert writer.verify() == []
        log = Path(f"{path}-wal")
        assert log.exists()
        assert len(reader.lookup("Ada", "field").values) == 3
