"""Importing in bulk: the same content as fact by fact, going on after kill -9, and replacing an empty file."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamlam.corpus import FactRecord
from lamlam.errors import InputError
from lamlam.kb import KnowledgeBase, Source
from lamlam.kb import builder as builder_module
from lamlam.kb import bulk as bulk_module
from lamlam.kb.bulk import bulk_import, can_bulk_import
from lamlam.kb.files import import_file
from lamlam.kb.sqlite import SQLiteDatabase

# Few names, so that facts, aliases and sources meet; some of one normal form, some with letters beyond ASCII.
NAME = st.sampled_from(["Ada", "ada", "Ada Lovelace", "Lovelace, Ada", "Åsa_Berg", "Asa Berg", "the Émile", "x", "10"])
PLACE = st.sampled_from([(None, None, None), ("one", None, None), ("one", 2, 7), ("two", 2, 7), ("two", 0, 0)])
RECORD = st.builds(
    lambda e, r, v, place, names, kinds: FactRecord(e, r, v, *place, tuple(names), tuple(kinds)),
    NAME, NAME, NAME, PLACE, st.lists(NAME, max_size=2), st.lists(NAME, max_size=1),
)  # fmt: skip
TABLES = (
    "entity", "relation", "document", "entity_alias", "relation_alias", "entity_spelling", "relation_spelling",
    "entity_key",
)  # fmt: skip


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_module, "_BATCH", 7)
    monkeypatch.setattr(builder_module, "_COMMIT_ROWS", 20)


def _in_bulk(path: Path, records: Sequence[FactRecord], **options: object) -> KnowledgeBase:
    kb = KnowledgeBase.open(path, create=True)
    database = kb._database
    assert can_bulk_import(database)
    assert database.take_alone()
    bulk_import(database, records, apart=False, **options)  # type: ignore[arg-type]
    return kb


def _rows(path: Path) -> dict[str, list[tuple]]:
    """All rows, with a fact's place in the order of ids for its id: those given again leave gaps."""
    connection = sqlite3.connect(path)
    rows = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
    facts = connection.execute("SELECT * FROM fact ORDER BY id").fetchall()
    places = {row[0]: place for place, row in enumerate(facts)}
    rows["fact"] = [row[1:] for row in facts]
    rows["value_key"] = sorted((key, places[fact]) for key, fact in connection.execute("SELECT * FROM value_key"))
    sources = connection.execute("SELECT * FROM source ORDER BY id").fetchall()
    rows["source"] = [(places[fact], *rest) for _, fact, *rest in sources]
    rows["index"] = sorted(connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%'"))
    connection.close()
    return rows


@settings(max_examples=40, deadline=None)
@given(records=st.lists(RECORD, max_size=40), source=st.sampled_from([None, Source("three", 1, 2)]))
def test_in_bulk_every_table_is_as_fact_by_fact(
    tmp_path_factory: pytest.TempPathFactory, records: list[FactRecord], source: Source | None
) -> None:
    folder = tmp_path_factory.mktemp("bulk")
    with KnowledgeBase.open(folder / "rows.sqlite", create=True) as rows:
        report = rows.add(records, source=source)
        rows._database.empty_log()  # type: ignore[attr-defined]
        bulk = KnowledgeBase.open(folder / "bulk.sqlite", create=True)
        database = bulk._database
        assert isinstance(database, SQLiteDatabase)
        assert database.take_alone()
        assert bulk_import(database, records, source=source, apart=False) == report
        assert bulk.verify() == []
        assert bulk.digest() == rows.digest()
        assert bulk.stats().facts == rows.stats().facts
        assert _rows(folder / "bulk.sqlite") == _rows(folder / "rows.sqlite")
        for record in records:
            found, expected = (kb.lookup(record.entity, record.relation) for kb in (bulk, rows))
            assert (found.status, found.values) == (expected.status, expected.values)
        bulk.close()


def _many(count: int) -> list[FactRecord]:
    rng = random.Random(count)
    return [
        FactRecord(
            f"Name {rng.randrange(count // 4)}",
            f"Relation {rng.randrange(9)}",
            f"Value {rng.randrange(5)}",
            document=rng.choice([None, "one", "two"]),
            entity_aliases=(f"Alias {rng.randrange(count)}",) if rng.random() < 0.1 else (),
        )
        for _ in range(count)
    ]


def _killed_somewhere(path: Path, records: list[FactRecord], after: int) -> bool:
    """Import in a process that is killed after so many steps of SQLite; whether it was done before."""
    child = os.fork()
    if child == 0:
        opened: Callable = builder_module._opened
        left = after

        def step() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def watched(path: Path) -> sqlite3.Connection:
            connection: sqlite3.Connection = opened(path)
            connection.set_progress_handler(step, 50)
            return connection

        builder_module._opened = watched
        _in_bulk(path, records, identity="the same").close()
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_an_import_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path: Path) -> None:
    records = _many(1500)
    _in_bulk(tmp_path / "whole.sqlite", records).close()
    path, rng = tmp_path / "killed.sqlite", random.Random(1)
    KnowledgeBase.open(path, create=True).close()
    kills = 0
    while not _killed_somewhere(path, records, rng.randrange(200, 3000)):
        kills += 1
        with KnowledgeBase.open(path) as kb:
            assert kb.stats().facts == 0
    assert kills > 5
    with KnowledgeBase.open(path) as kb:
        assert kb.verify() == []
    assert _rows(path) == _rows(tmp_path / "whole.sqlite")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["killed.sqlite", "whole.sqlite"]


def test_another_import_does_not_go_on_with_what_one_began(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    first = iter(_many(100))

    def broken() -> Iterator[FactRecord]:
        yield from (next(first) for _ in range(60))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _in_bulk(path, broken(), identity="first")  # type: ignore[arg-type]
    assert (tmp_path / "kb.sqlite.import").exists()
    with _in_bulk(path, [FactRecord("a", "b", "c")], identity="second") as kb:
        assert [fact.value for fact in kb.facts()] == ["c"]
        kb.add([("a", "b", "d")])
        assert kb.lookup("a", "b").values == ("c", "d")


def _write(path: Path, count: int, bad: int | None = None) -> None:
    with path.open("w") as file:
        for number in range(count):
            value = " " if number == bad else f"Value {number} {'x' * 60}"
            file.write(
                json.dumps({"entity": f"Name {number // 5}", "relation": f"R {number % 5}", "value": value}) + "\n"
            )


def test_a_large_file_goes_in_bulk_and_a_bad_row_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_module, "_BATCH", 10_000)
    _write(tmp_path / "facts.jsonl", 40_000)
    _write(tmp_path / "bad.jsonl", 40_000, bad=31_000)
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        key = kb._tombstones._key
        with pytest.raises(InputError) as error:
            import_file(kb, tmp_path / "bad.jsonl")
        assert (error.value.line, error.value.field) == (31_001, "value")
        assert kb.stats().revisions == 0
        assert not (tmp_path / "kb.sqlite.import").exists()
        assert import_file(kb, tmp_path / "facts.jsonl", actor="ada", reason="why").added == 40_000
        assert [(row.actor, row.action, row.reason, row.began) for row in kb.log()] == [("ada", "add", "why", 40_000)]
        assert kb.lookup("name 7999", "R 4").values[0].startswith("Value 39999 ")
        assert kb.verify() == []
        kb.forget(entity="Name 7", reason="asked")
        assert import_file(kb, tmp_path / "facts.jsonl").known == 39_995
    with KnowledgeBase.open(tmp_path / "kb.sqlite") as kb:
        assert kb._tombstones._key == key
        assert kb.verify() == []


def test_the_reading_process_killed_takes_the_building_one_with_it(tmp_path: Path) -> None:
    _write(tmp_path / "facts.jsonl", 60_000)
    program = f"""
from pathlib import Path
from lamlam.kb import KnowledgeBase
from lamlam.kb.files import import_file
with KnowledgeBase.open({str(tmp_path / "kb.sqlite")!r}, create=True) as kb:
    print(import_file(kb, Path({str(tmp_path / "facts.jsonl")!r})).added)
"""
    for delay in (0.7, 1.4, None):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            try:
                printed = process.communicate(timeout=delay)[0]
                break
            except subprocess.TimeoutExpired:
                process.kill()
    assert printed == b"60000\n"
    with KnowledgeBase.open(tmp_path / "kb.sqlite") as kb:
        assert kb.stats().facts == 60_000
        assert kb.verify() == []


def test_a_file_that_is_open_elsewhere_is_not_replaced(tmp_path: Path) -> None:
    with (
        KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb,
        KnowledgeBase.open(tmp_path / "kb.sqlite") as other,
    ):
        assert kb.load(_many(50)).added == other.stats().facts
        assert kb.digest() == other.digest()


def test_while_facts_are_imported_nobody_else_opens_the_file_or_goes_on_in_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamlam.kb.sqlite_connection.WAIT_SECONDS", 0.05)
    path = tmp_path / "kb.sqlite"
    waiting: list[sqlite3.Connection] = []

    def records() -> Iterator[FactRecord]:
        yield FactRecord("a", "b", "c")
        with pytest.raises(InputError, match="by another program"):
            KnowledgeBase.open(path)
        waiting.append(sqlite3.connect(path))

    with _in_bulk(path, records()) as kb:  # type: ignore[arg-type]
        assert kb.lookup("a", "b").values == ("c",)
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            waiting[0].execute("INSERT INTO fact (entity, relation, value, since) VALUES (1, 1, 'lost', 1)")
        waiting[0].close()


def test_forgetting_removes_the_file_of_an_import_that_was_given_up(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        (tmp_path / "kb.sqlite.import").write_text("half of an import of Ada's secret")
        kb.add([("Ada", "Born", "Ada's secret")])
        assert kb.forget(entity="Ada").clean
        assert not (tmp_path / "kb.sqlite.import").exists()


def test_where_something_was_written_before_facts_are_added_one_by_one(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        kb.add([("Ada", "Born", "Rome"), ("Ada", "Field", "maths")])
        kb.forget(entity="Ada", relation="Born")
        kb.forget(entity="Ada")
        assert len(kb.load([FactRecord("Ada", "Born", "Rome")]).refused) == 1


def test_two_names_of_one_hash_are_told_and_not_mixed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from lamlam.errors import LamLamError
    from lamlam.kb import staging

    names = staging.Dictionary()
    assert names.encode(["a", "b", "a"]) == ([1, 2, 1], [0, 1])
    monkeypatch.setattr(staging, "hash", lambda name: 7, raising=False)
    other = staging.Dictionary()
    other.encode(["a"])
    with pytest.raises(LamLamError, match="start the import again"):
        other.encode(["b"])
