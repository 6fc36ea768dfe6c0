"""Programs that make one knowledge base at the same time: none loses what another, or it itself, has put there."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from lamlam.corpus import Corpus, FactRecord
from lamlam.errors import InputError
from lamlam.kb import KnowledgeBase, Status
from lamlam.kb.bulk import bulk_import, can_bulk_import
from lamlam.kb.database import connect, connected_to_fill
from lamlam.kb.files import copy_database
from lamlam.kb.sqlite import SQLiteDatabase
from lamlam.pretrain.training import _build_knowledge_base
from racing import race

FACT = ("Ada", "home", "Rome")
ROUNDS = int(os.environ.get("LAMLAM_RACES", "25"))  # 1,000 before a release


@pytest.mark.slow
def test_programs_that_make_one_knowledge_base_at_once_lose_nothing(tmp_path: Path) -> None:
    ended = race(tmp_path, ROUNDS, seed=3)
    assert {"import: done", "bulk_import: done", "annotate: done", "pretrain: done"} <= set(ended)
    assert ended["bad_import: refused"] > 0


# One after the other, at the moments that matter


@contextmanager
def _failing(path: Path) -> Iterator[None]:
    """What opens a knowledge base to fill it, and fails after the block."""
    with suppress(KeyboardInterrupt), KnowledgeBase.open_to_fill(path):
        yield
        raise KeyboardInterrupt


def test_a_file_that_others_use_by_now_is_not_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    with ExitStack() as stack:
        with _failing(path):
            other = stack.enter_context(KnowledgeBase.open(path))
        assert other.add([FACT]).added == 1
    with KnowledgeBase.open(path) as kb:
        assert kb.lookup(*FACT[:2]).found


def test_a_file_that_others_have_written_to_is_not_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    with _failing(path):
        _added(path)
    with KnowledgeBase.open(path) as kb:
        assert kb.lookup(*FACT[:2]).found


def test_a_file_that_was_there_is_not_taken_back_and_one_that_was_made_is(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    KnowledgeBase.open(path, create=True).close()
    for left in (["kb.sqlite"], []):
        with _failing(path):
            pass
        assert [file.name for file in tmp_path.iterdir()] == left
        path.unlink(missing_ok=True)


def test_whoever_waits_for_a_file_that_is_taken_back_makes_another(tmp_path: Path) -> None:
    """The one that fails holds the file locked, and the other has it open already, when it goes."""
    path = tmp_path / "kb.sqlite"
    first = SQLiteDatabase(path, create=True)
    assert first.take_alone()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(_added, path)
        time.sleep(0.3)
        assert not waiting.done()
        first.run("ALTER TABLE fact RENAME TO gone")
        path.unlink()
        first.run("COMMIT")
        assert waiting.result(20) == 1
    first.close()
    with KnowledgeBase.open(path) as kb:
        assert kb.lookup(*FACT[:2]).found


def _added(path: Path) -> int:
    with KnowledgeBase.open(path, create=True) as kb:
        return kb.add([FACT]).added


def test_an_import_in_bulk_replaces_nothing_that_was_written_meanwhile(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        assert can_bulk_import(kb._database)
        _added(tmp_path / "kb.sqlite")
        assert not kb._database.take_alone()
        assert kb.lookup(*FACT[:2]).found


def test_whoever_waits_for_a_file_that_is_replaced_leaves_the_log_of_the_new_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite finds a log by its name: it would be moved into the old file, and removed."""
    path = tmp_path / "kb.sqlite"
    waiting: list[subprocess.Popen] = []

    def records() -> Iterator[FactRecord]:
        waiting.append(_added_by_a_program_that_is_killed(path, ("Eve", "home", "Bonn")))
        assert waiting[0].stdout is not None
        assert waiting[0].stdout.readline() == b"opening\n"
        time.sleep(0.3)
        yield FactRecord("Bob", "home", "Oslo")

    def others_are_quick(folder: Path) -> None:
        """The new file is at its place, and who waits does not know yet."""
        _added_by_a_program_that_is_killed(path, FACT).communicate()

    monkeypatch.setattr("lamlam.kb.sqlite.sync_folder", others_are_quick)
    with KnowledgeBase.open(path, create=True) as kb:
        database = kb._database
        assert isinstance(database, SQLiteDatabase)
        assert database.take_alone()
        close = database.close
        monkeypatch.setattr(database, "close", lambda: (close(), waiting[0].communicate()))
        bulk_import(database, records(), apart=False)
        monkeypatch.undo()
        assert {fact.entity for fact in kb.facts()} == {"Ada", "Bob", "Eve"}


def _added_by_a_program_that_is_killed(path: Path, fact: tuple[str, str, str]) -> subprocess.Popen:
    """Its log stays."""
    code = f"""
import os
from lamlam.kb import KnowledgeBase
print("opening", flush=True)
KnowledgeBase.open({str(path)!r}).add([{fact!r}])
os._exit(9)
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)


def test_a_copy_brings_its_key_to_whoever_has_the_target_open(tmp_path: Path) -> None:
    """Else what was forgotten would be let in by a writer that knows only the key that was there before."""
    source, target = tmp_path / "source.sqlite", tmp_path / "target.sqlite"
    with KnowledgeBase.open(source, create=True) as kb:
        kb.add([FACT, ("Bob", "home", "Oslo")])
        kb.forget(entity="Ada")
    with KnowledgeBase.open(target, create=True) as waiting:
        with closing(connect(source)) as whole, connected_to_fill(target) as empty:
            copy_database(whole, empty)
        assert waiting.lookup(*FACT[:2]).status is Status.FORGOTTEN
        assert len(waiting.add([FACT]).refused) == 1


def test_a_training_adds_to_what_others_wrote_and_replaces_what_one_left(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"

    def prepare(*facts: tuple[str, str, str]) -> list[str]:
        _build_knowledge_base([Corpus([], {}, [FactRecord(*fact) for fact in facts])], path)
        with KnowledgeBase.open(path) as kb:
            return [fact.value for fact in kb.facts()]

    assert prepare(FACT) == ["Rome"]
    assert prepare(("Ada", "job", "poet")) == ["poet"]
    with KnowledgeBase.open(path) as kb:
        kb.add([("Ada", "home", "Bari")])
        kb.forget(entity="Ada", relation="job")
    assert prepare(FACT, ("Ada", "job", "poet")) == ["Bari", "Rome"]


def test_a_training_does_not_take_a_file_from_under_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    corpus = Corpus([], {}, [FactRecord(*FACT)])
    _build_knowledge_base([corpus], path)
    with KnowledgeBase.open(path) as served:
        with pytest.raises(InputError, match="in use by another program"):
            _build_knowledge_base([corpus], path)
        assert served.lookup(*FACT[:2]).found
