"""The knowledge base behind the routes: connections by thread, lost connections, counts that are kept a while."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lamlam.errors import InputError, LamLamError
from lamlam.kb import KnowledgeBase
from lamlam.serve.counting import Counting
from lamlam.serve.documents import Documents
from lamlam.serve.knowledge import Knowledge
from places import Place, PostgresPlace
from postgres_server import PostgresServer

FACT = ("Ada", "Field", "zymurgy")


@pytest.fixture
def address(place: Place) -> str | Path:
    with place.open(create=True) as kb:
        kb.add([FACT])
    return place.address


def test_a_knowledge_base_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such knowledge base"):
        Knowledge(tmp_path / "none.sqlite")


def test_each_thread_opens_a_connection_and_closes_it_itself(
    address: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    knowledge, opened, closed = Knowledge(address), set[int](), set[int]()
    close = KnowledgeBase.close
    monkeypatch.setattr(KnowledgeBase, "close", lambda kb: (closed.add(threading.get_ident()), close(kb)))
    together = threading.Barrier(4)

    def ask(kb: KnowledgeBase) -> bool:
        together.wait(20)
        opened.add(threading.get_ident())
        return kb.lookup(*FACT[:2]).found

    async def work() -> list[bool]:
        answers = await asyncio.gather(*(knowledge.read(ask) for _ in range(4)))
        return [*answers, await knowledge.write(lambda kb: opened.add(threading.get_ident()) is None)]

    assert asyncio.run(work()) == [True] * 5
    knowledge.close()
    assert closed == opened
    assert len(opened) == 5


def test_what_is_raised_reaches_whoever_asked_and_the_thread_goes_on(address: str | Path) -> None:
    knowledge = Knowledge(address)

    async def work() -> None:
        for _ in range(9):
            with pytest.raises(LamLamError, match="no fact 99"):
                await knowledge.read(lambda kb: kb.fact(99))
            with pytest.raises(ZeroDivisionError):
                await knowledge.write(lambda kb: 1 // 0)
        assert await knowledge.write(lambda kb: kb.add([("Ada", "Field", "poetry")]).added) == 1
        assert await knowledge.read(lambda kb: kb.revision) == 2

    asyncio.run(work())
    knowledge.close()


def test_a_write_that_nobody_waits_for_any_more_is_carried_out(address: str | Path) -> None:
    knowledge = Knowledge(address)
    begun, go_on = threading.Event(), threading.Event()

    def change(kb: KnowledgeBase) -> None:
        begun.set()
        go_on.wait(20)
        kb.add([("Ada", "Field", "poetry")])

    async def work() -> int:
        task = asyncio.create_task(knowledge.write(change))
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await knowledge.write(lambda kb: None)
        return await knowledge.read(lambda kb: kb.revision)

    assert asyncio.run(work()) == 2
    knowledge.close()


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_a_connection_that_was_lost_is_opened_anew(
    address: str, place: PostgresPlace, postgres: PostgresServer
) -> None:
    knowledge = Knowledge(address)

    def cut() -> None:
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
            "backend_type = 'client backend' AND datname = 'postgres'"
        )

    async def work() -> None:
        for _ in range(2):
            for _ in range(8):
                assert await knowledge.read(lambda kb: kb.lookup(*FACT[:2]).found)
            assert (await knowledge.write(lambda kb: kb.add([FACT]))).known == 1
            cut()

    asyncio.run(work())
    knowledge.close()


def test_an_erasure_that_somebodys_reading_cut_short_is_made_up_for_soon(
    address: str | Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamlam.kb.postgres_erasure._WAIT_SECONDS", 0.1)
    monkeypatch.setattr("lamlam.kb.sqlite_connection.WAIT_SECONDS", 0.1)
    monkeypatch.setattr("lamlam.serve.knowledge._IDLE_SECONDS", 0.1)
    knowledge = Knowledge(address)

    async def work() -> None:
        assert (await knowledge.write(lambda kb: kb.add([FACT]))).known == 1  # a server that writes keeps a log
        with place.open() as reader, reader._database.snapshot():
            assert reader.lookup(*FACT[:2]).found
            assert not (await knowledge.write(lambda kb: kb.forget(1))).clean
            assert place.left("zymurgy")
        while place.left("zymurgy"):  # the test's time is limited
            await asyncio.sleep(0.1)

    asyncio.run(work())
    knowledge.close()
    with place.open() as kb:
        assert kb.verify() == []


# Counting


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _counting(kb: KnowledgeBase, seconds: float) -> tuple[Callable[[], int], _Clock]:
    """Counts how often it counted."""
    clock, counted = _Clock(), 0
    counting = Counting(clock)

    def count(_: KnowledgeBase) -> int:
        nonlocal counted
        counted += 1
        clock.now += seconds
        return counted

    return lambda: counting.of(kb, "facts", count), clock


def test_counts_are_kept_while_they_are_true() -> None:
    with KnowledgeBase.open(":memory:") as kb:
        count, clock = _counting(kb, 0.01)
        assert [count(), count()] == [1, 1]
        clock.now += 1e6
        assert count() == 1
        kb.add([FACT])
        assert [count(), count()] == [2, 2], "what is quickly counted is never out of date"


def test_what_takes_long_to_count_is_out_of_date_for_a_while() -> None:
    with KnowledgeBase.open(":memory:") as kb:
        count, clock = _counting(kb, 2.0)
        count()
        kb.add([FACT])
        clock.now += 19.9
        assert count() == 1
        clock.now += 0.2
        assert [count(), count()] == [2, 2]


def test_one_counts_at_a_time_and_others_take_what_is_kept() -> None:
    with KnowledgeBase.open(":memory:") as kb:
        counting = Counting()
        assert counting.of(kb, "facts", lambda _: "first") == "first"
        kb.add([FACT])
        assert counting.of(kb, "facts", lambda kb: counting.of(kb, "facts", lambda _: "never")) == "first"


# Documents


def test_documents_are_found_in_a_file_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "one", "text": "é 1"}\n{"entity": "no document"}\n', encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('\n{"id": "two", "text": "2", "calls": []}', encoding="utf-8")
    folder, file = Documents(tmp_path), Documents(tmp_path / "a.jsonl")
    assert (len(folder), folder.text("one"), folder.text("two"), folder.text("three")) == (2, "é 1", "2", None)
    assert (len(file), file.text("two")) == (1, None)
    assert Documents(None).text("one") is None


def test_an_id_that_several_documents_have_shows_none_of_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text('{"id": "one", "text": "1"}\n{"id": "' + name + '", "text": "x"}\n')
    documents = Documents(tmp_path)
    assert (documents.text("one"), documents.text("a"), documents.text("b")) == (None, "x", "x")


def test_documents_that_cannot_be_read_are_told_by_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        Documents(tmp_path / "nothing")
    bad = tmp_path / "a.jsonl"
    bad.write_text('{"id": "one", "text": "1"}\nnot JSON\n')
    with pytest.raises(InputError, match=r"a\.jsonl:2: is not JSON"):
        Documents(tmp_path)


def test_a_file_that_changed_since_shows_no_other_documents_text(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"id": "one", "text": "1"}\n{"id": "two", "text": "2"}\n')
    documents = Documents(tmp_path)
    file.write_text('{"id": "new", "text": "the first is gone"}\n{"id": "two", "text": "2"}\n')
    assert (documents.text("one"), documents.text("two")) == (None, None)
    file.unlink()
    assert documents.text("one") is None
