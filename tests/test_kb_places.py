"""Where a knowledge base may be opened: read-only places, whose readers see what is written elsewhere, and places in
which they could not, which are refused."""

import asyncio
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from lamlam.errors import InputError, LamLamError
from lamlam.evaluate.evaluation import scratch_copy
from lamlam.kb import KnowledgeBase, Status
from lamlam.kb.place import check_place
from lamlam.serve.knowledge import Knowledge

CHANGES = int(os.environ.get("LAMLAM_CHANGES", "60"))  # 1,000 before a release
ENTITIES = [f"Person {letter}" for letter in "ABCDE"]
FORGOTTEN = "(forgotten)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        kb.add((name, "home", f"{name} 0") for name in ENTITIES)
    return tmp_path / "kb.sqlite"


# A reader who cannot write, in a process of its own, as locks are the process's


class Reader:
    """Answers from a connection that it keeps open; `fresh` asks by a new one."""

    def __init__(self, path: Path, user: int | None = None) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_read, args=(path, theirs, user), daemon=True)
        self._process.start()

    def ask(self, *question: Any, fresh: bool = False) -> Any:
        self._pipe.send((fresh, *question))
        assert self._pipe.poll(60)
        return self._pipe.recv()

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join()


def _read(path: Path, pipe: Connection, user: int | None) -> None:
    """As this user, or as one to whom the system says that nothing can be written."""
    if user is None:
        os.access = lambda *_: False  # type: ignore[assignment]
    else:
        os.setuid(user)
    with KnowledgeBase.open(path) as kept:
        while (asked := pipe.recv()) is not None:
            fresh, entity, relation = asked
            try:
                if fresh:
                    with KnowledgeBase.open(path) as kb:
                        pipe.send(_answer(kb, entity, relation))
                else:
                    pipe.send(_answer(kept, entity, relation))
            except LamLamError as error:
                pipe.send(str(error))


def _answer(kb: KnowledgeBase, entity: str, relation: str) -> tuple[str, ...]:
    found = kb.lookup(entity, relation)
    return (FORGOTTEN,) if found.status is Status.FORGOTTEN else found.values


@pytest.fixture
def reader(path: Path) -> Iterator[Reader]:
    opened = Reader(path)
    yield opened
    opened.close()


def _by_a_program_that_is_killed(path: Path, change: Callable[[KnowledgeBase], object]) -> None:
    child = os.fork()
    if child == 0:
        try:
            change(KnowledgeBase.open(path))
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def _once(path: Path, change: Callable[[KnowledgeBase], object]) -> None:
    with KnowledgeBase.open(path) as kb:
        change(kb)


@pytest.mark.slow
def test_a_reader_who_cannot_write_never_answers_with_an_old_value(path: Path, reader: Reader) -> None:
    """Beside writers that stay, that come and go, and that are killed."""
    rng, values = random.Random(5), {name: (f"{name} 0",) for name in ENTITIES}
    staying: KnowledgeBase | None = None
    for number in range(1, CHANGES + 1):
        name = rng.choice(ENTITIES)
        forgets = values[name] != (FORGOTTEN,) and rng.random() < 0.3
        values[name] = (FORGOTTEN,) if forgets else (f"value {number}",)
        change = partial(_change, name=name, value=None if forgets else f"value {number}")
        way = rng.choice((_once, _once, _by_a_program_that_is_killed, None))
        if way is not None:
            way(path, change)
        else:
            staying = staying or KnowledgeBase.open(path)
            change(staying)
        if staying is not None and rng.random() < 0.3:
            staying.close()
            staying = None
        for each in ENTITIES:
            assert reader.ask(each, "home") == values[each], (number, way)
        assert reader.ask(name, "home", fresh=True) == values[name], (number, way)
    if staying is not None:
        staying.close()
    with KnowledgeBase.open(path) as kb:
        assert kb.verify() == []


def _change(kb: KnowledgeBase, name: str, value: str | None) -> None:
    if value is None:
        kb.forget(entity=name)
    elif held := kb.lookup(name, "home").facts:
        kb.edit(held[0].id, value=value)
    else:
        kb.add([(name, "home", value)])


def test_a_reader_who_cannot_write_leaves_no_file_behind(path: Path, reader: Reader) -> None:
    assert reader.ask("Person A", "home") == ("Person A 0",)
    assert [file.name for file in path.parent.iterdir()] == ["kb.sqlite"]


def test_a_server_that_cannot_write_answers_what_was_written_elsewhere(path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(_served_read_only(path))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _served_read_only(path: Path) -> int:
    access, os.access = os.access, lambda *_: False  # type: ignore[assignment]
    knowledge = Knowledge(path)

    async def ask() -> tuple[str, ...]:
        return await knowledge.read(lambda kb: _answer(kb, "Person A", "home"))

    async def work() -> list[tuple[str, ...]]:
        said = [await ask()]
        for value in ("moved", None):
            child = os.fork()
            if child == 0:
                os.access = access
                _once(path, partial(_change, name="Person A", value=value))
                os._exit(0)
            os.waitpid(child, 0)
            said.append(await ask())
        return said

    said = asyncio.run(work())
    knowledge.close()
    return 0 if said == [("Person A 0",), ("moved",), (FORGOTTEN,)] else 1


def test_a_log_that_is_out_of_reach_is_refused_with_the_way_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the file alone was copied while it was open, or a machine was cut off."""
    monkeypatch.setattr("lamlam.kb.sqlite_connection._PASSING_SECONDS", 0.1)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = WAL")
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(InputError, match=r"cannot be read safely here: .*where it can be written"):
            KnowledgeBase.open(path)
    KnowledgeBase.open(path).close()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with KnowledgeBase.open(path) as kb:
        assert kb.lookup("Person A", "home").found


def test_a_copy_to_evaluate_on_can_be_made_where_nothing_can_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda place, mode: Path(place).parent not in (path, path.parent) and access(place, mode)
    )
    with scratch_copy(path) as kb:
        kb.forget(entity="Person A")
    with KnowledgeBase.open(path) as kb:
        assert kb.lookup("Person A", "home").found


# Files that were replaced or removed


def test_a_file_that_was_replaced_is_refused_by_whoever_has_the_old_one_open(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "new.sqlite")
    with KnowledgeBase.open(tmp_path / "new.sqlite") as new:
        new.forget(entity="Person A")
    with KnowledgeBase.open(path) as old:
        (tmp_path / "new.sqlite").replace(path)
        with pytest.raises(LamLamError, match="was replaced since it was opened: open it again"):
            old.lookup("Person A", "home")
        with pytest.raises(LamLamError, match="was replaced"):
            old.add([("Person B", "job", "baker")])
        assert not old.answers()
    with KnowledgeBase.open(path) as kb:
        assert kb.lookup("Person A", "home").status is Status.FORGOTTEN
        path.unlink()
        with pytest.raises(LamLamError, match="was removed since"):
            kb.lookup("Person B", "home")


def test_a_server_opens_a_file_anew_that_was_replaced(path: Path, tmp_path: Path) -> None:
    knowledge = Knowledge(path)
    shutil.copy(path, tmp_path / "new.sqlite")
    with KnowledgeBase.open(tmp_path / "new.sqlite") as new:
        new.edit(1, value="moved")

    async def work() -> list[tuple[str, ...]]:
        first = await knowledge.read(lambda kb: kb.lookup("Person A", "home").values)
        (tmp_path / "new.sqlite").replace(path)
        return [first, await knowledge.read(lambda kb: kb.lookup("Person A", "home").values)]

    assert asyncio.run(work()) == [("Person A 0",), ("moved",)]
    knowledge.close()


def test_to_close_what_read_the_bytes_of_a_file_leaves_the_locks_of_others(path: Path) -> None:
    """POSIX drops a process's locks on a file when any handle on it is closed."""
    other = "import sys; from lamlam.kb import KnowledgeBase; KnowledgeBase.open(sys.argv[1]).close()"
    with KnowledgeBase.open(path) as kb:
        with KnowledgeBase.open(path) as eraser:
            assert eraser.forget(entity="Person A").clean
        kb.add([("Person B", "job", "baker")])
        subprocess.run([sys.executable, "-c", other, str(path)], check=True)
        assert path.with_name("kb.sqlite-wal").exists()
        kb.add([("Person B", "hobby", "chess")])
        assert kb.verify() == []


# Places in which changes could go unseen


def test_a_file_of_several_names_is_refused(path: Path) -> None:
    os.link(path, path.with_name("other.sqlite"))
    with pytest.raises(InputError, match="has several names"):
        KnowledgeBase.open(path.with_name("other.sqlite"))


MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
23 22 0:40 / {folder} rw,relatime shared:1 - {kind} server:/data rw
"""


@pytest.mark.parametrize(
    ("kind", "writable", "refused"),
    [
        ("ext4", True, False),
        ("ext4", False, False),
        ("nfs4", True, True),
        ("cifs", False, True),
        ("9p", True, False),
        ("9p", False, True),
        ("fuse.sshfs", False, True),
        ("fuse.fuse-overlayfs", False, False),
    ],
)
def test_another_machines_file_system_is_refused_unless_this_one_alone_opens_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, writable: bool, refused: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(kind=kind, folder=str(path.parent).replace("k", "\\153")))
    monkeypatch.setattr("lamlam.kb.place._MOUNTS", mounts)
    monkeypatch.setattr(os, "access", lambda *_: writable)
    if not refused:
        assert check_place(path, create=False) is writable
        return
    with pytest.raises(InputError, match=f"another machine.*{kind}.*PostgreSQL.*LAMLAM_NETWORK_FILES=alone"):
        KnowledgeBase.open(path)
    monkeypatch.setenv("LAMLAM_NETWORK_FILES", "alone")
    assert check_place(path, create=False) is writable


def test_a_file_that_is_mounted_without_its_folder_is_refused(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(kind="ext4", folder=path))
    monkeypatch.setattr("lamlam.kb.place._MOUNTS", mounts)
    with pytest.raises(InputError, match="mounted without its folder"):
        KnowledgeBase.open(path)


# Real mounts and other users, where this machine allows them


def _in_a_mount(program: str, *arguments: Path, mount: str) -> list[str]:
    """What a program prints that runs where `mount` (shell, `$1` the first argument) was done, for it alone."""
    if (
        shutil.which("unshare") is None
        or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode
    ):
        pytest.skip("this machine lets nobody mount anything")
    script = f'{mount} || exit 77; exec "$PYTHON" -c "$PROGRAM" "$@"'
    environment = {**os.environ, "PYTHON": sys.executable, "PROGRAM": program, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *map(str, arguments)],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip("this machine cannot mount this")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_through_a_read_only_mount_changes_are_seen(path: Path, tmp_path: Path) -> None:
    (tmp_path / "mounted").mkdir()
    program = """
import subprocess, sys
from lamlam.kb import KnowledgeBase
where, place = sys.argv[1:]
with KnowledgeBase.open(f"{place}/kb.sqlite") as kb:
    for change in ("edit(1, value='moved')", "forget(1 + 5)", "add([('Person A', 'home', 'back')])"):
        print(kb.lookup("Person A", "home").status, *kb.lookup("Person A", "home").values)
        code = f"from lamlam.kb import KnowledgeBase as K; kb = K.open('{where}/kb.sqlite'); kb.{change}; kb.close()"
        subprocess.run([sys.executable, "-c", code], check=True)
    print(*kb.lookup("Person A", "home").values)
"""
    folder = tmp_path / "folder"
    folder.mkdir()
    path.rename(folder / "kb.sqlite")
    mount = 'mount --bind "$1" "$2" && mount -o remount,bind,ro "$2"'
    said = _in_a_mount(program, folder, tmp_path / "mounted", mount=mount)
    assert said == ["exact Person A 0", "exact moved", "forgotten", "back"]


@pytest.mark.slow
def test_on_a_full_disk_it_can_be_read_and_whoever_writes_is_told(tmp_path: Path) -> None:
    program = """
import subprocess, sys
from pathlib import Path
from lamlam.kb import KnowledgeBase
disk, elsewhere = map(Path, sys.argv[1:])
path, facts = disk / "kb.sqlite", elsewhere / "facts.jsonl"
with KnowledgeBase.open(path, create=True) as kb:
    kb.add([("Ada", "home", "Rome"), ("Bob", "home", "Oslo")])
with open(disk / "filler", "wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)): pass
    except OSError: pass
facts.write_text('{"entity": "Eve", "relation": "home", "value": "Bonn"}')
for words in (
    ["lookup", path, "Ada", "home"], ["verify", path], ["export", path, elsewhere / "out.csv"],
    ["export", path, disk / "out.csv"], ["edit", path, 1, "Bari"], ["forget", path, "--entity", "Ada", "--yes"],
    ["import", path, facts], ["import", disk / "new.sqlite", facts], ["lookup", path, "Ada", "home"],
):
    done = subprocess.run([sys.executable, "-m", "lamlam", "kb", *map(str, words)], capture_output=True, text=True)
    print(words[0], done.returncode, done.stderr.strip().removeprefix(f"lamlam: {disk}/"))
print(*sorted(file.name for file in disk.iterdir() if not file.name.endswith("-shm")))
"""
    (tmp_path / "disk").mkdir()
    said = _in_a_mount(program, tmp_path / "disk", tmp_path, mount='mount -t tmpfs -o size=700k tmpfs "$1"')
    assert said == [
        "lookup 0 ",
        "verify 0 ",
        "export 0 ",
        "export 2 out.csv: cannot be written (No space left on device)",
        "edit 2 kb.sqlite cannot be written: the disk is full",
        "forget 2 kb.sqlite cannot be written: the disk is full",
        "import 2 kb.sqlite cannot be written: the disk is full",
        "import 2 new.sqlite: cannot be written: the disk is full",
        "lookup 0 ",
        "filler kb.sqlite",
    ]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
def test_another_user_who_may_only_read_sees_changes(path: Path) -> None:
    """In a folder that anyone may read and nobody else write; no function is replaced here."""
    shared = Path(tempfile.mkdtemp(prefix="lamlam-"))
    try:
        shared.chmod(0o755)
        path.rename(shared / "kb.sqlite")
        reader = Reader(shared / "kb.sqlite", user=65534)
        for value in ("moved", None):
            _once(shared / "kb.sqlite", partial(_change, name="Person A", value=value))
            assert reader.ask("Person A", "home") == ((value or FORGOTTEN),)
        with KnowledgeBase.open(shared / "kb.sqlite") as kb:
            kb.add([("Person A", "home", "back")])
            assert reader.ask("Person A", "home") == reader.ask("Person A", "home", fresh=True) == ("back",)
        reader.close()
        KnowledgeBase.open(shared / "kb.sqlite").close()  # what the reader had open, the writer could not put away
        assert [file.name for file in shared.iterdir()] == ["kb.sqlite"]
    finally:
        shutil.rmtree(shared)
