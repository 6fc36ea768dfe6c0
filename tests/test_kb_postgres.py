"""A knowledge base on PostgreSQL, in what is not the contract of both: connecting, several at once, erasing."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest

from lamlam.errors import InputError, LamLamError
from lamlam.kb import KnowledgeBase, Source, Status
from lamlam.kb.postgres import PostgresDatabase
from places import PostgresPlace
from postgres_server import PostgresServer

FACTS = [("Xanthippe Quarles", "Birthplace", "Wrzeszcz"), ("Ada", "Field", "logic")]

pytestmark = pytest.mark.parametrize("place", ["postgres"], indirect=True)


@pytest.fixture
def kb(place: PostgresPlace) -> Iterator[KnowledgeBase]:
    with place.open(create=True) as opened:
        opened.add(FACTS)
        yield opened


# Connecting


def test_it_is_made_only_when_asked(place: PostgresPlace) -> None:
    with pytest.raises(InputError, match="no such knowledge base"):
        place.open()
    place.open(create=True).close()
    with place.open() as kb:
        assert (kb.stats().facts, kb.verify(), kb.path) == (0, [], None)


def test_a_server_that_cannot_be_reached_is_told_without_the_password(
    place: PostgresPlace, postgres: PostgresServer
) -> None:
    postgres.execute("DROP ROLE IF EXISTS locked; CREATE ROLE locked LOGIN PASSWORD 'right'")
    port = postgres.port
    for url, reason in [
        ("postgresql://ada:s3cret@127.0.0.1:1/facts", "postgresql://ada@127.0.0.1:1/facts cannot be opened: .*refused"),
        (f"postgresql://locked:s3cret@127.0.0.1:{port}/postgres", "password authentication failed"),
        (f"postgresql://lamlam:s3cret@127.0.0.1:{port}/nowhere", 'database "nowhere" does not exist'),
        (f"postgresql://lamlam@127.0.0.1:{port}/postgres?options=-csearch_path%3Dnowhere", "schema does not exist"),
        ("postgresql://ada:s3cret%zz@127.0.0.1/facts", "the address is not of the form postgresql://"),
        ("postgresql://ada:s3cret@127.0.0.1/facts?colour=red", "the address is not of the form postgresql://"),
    ]:
        with pytest.raises(LamLamError, match=reason) as raised:
            KnowledgeBase.open(url)
        assert "s3cret" not in str(raised.value)
        assert "\n" not in str(raised.value)


def test_psycopg_is_asked_for_by_the_name_of_the_extra(place: PostgresPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LamLamError, match=r"pip install 'lamlam\[postgres\]'"):
        place.open()


def test_other_peoples_tables_are_left_alone(place: PostgresPlace, postgres: PostgresServer) -> None:
    postgres.execute(f"CREATE TABLE {place.schema}.fact (id int)")
    with pytest.raises(InputError, match="tables of the same names"):
        place.open(create=True)
    with pytest.raises(InputError, match="no such knowledge base"):
        place.open()
    postgres.execute(f"CREATE TABLE {place.schema}.meta (id int)")
    with pytest.raises(InputError, match="not a knowledge base"):
        place.open(create=True)


def test_another_version_is_refused(place: PostgresPlace, kb: KnowledgeBase) -> None:
    kb._database.run("COMMENT ON TABLE meta IS 'LamLam knowledge base, schema version 99'")
    with pytest.raises(InputError, match="has schema version 99, this program reads"):
        place.open()


def test_a_role_that_may_only_read_is_told_so_when_it_writes(
    place: PostgresPlace, kb: KnowledgeBase, postgres: PostgresServer
) -> None:
    _grant(postgres, place, "reading", "USAGE", "SELECT")
    with KnowledgeBase.open(postgres.url(place.schema, user="reading")) as reader:
        assert reader.lookup("ada", "field").values == ("logic",)
        with pytest.raises(LamLamError, match="read-only"):
            reader.retract(1)


def test_a_connection_that_breaks_is_told(kb: KnowledgeBase, postgres: PostgresServer) -> None:
    number = kb._database.scalar("SELECT pg_backend_pid()")
    postgres.execute(f"SELECT pg_terminate_backend({number})")
    for _ in range(2):
        with pytest.raises(LamLamError, match=r"the connection to postgresql://lamlam@.* failed"):
            kb.lookup("Ada", "Field")


# Texts


def test_a_nul_equals_nothing(kb: KnowledgeBase) -> None:
    kb.add([("A" + chr(0xFFFD), "r", "v")])
    assert kb.lookup("A\x00", "r").status is not Status.EXACT
    assert kb.entities_named(["Ada\x00", "Ada"]) == {"Ada": "Ada"}
    assert kb.entities_starting("Ada\x00") == []
    with pytest.raises(InputError, match="NUL"):
        kb.retract(2, reason="because\x00")
    assert kb.lookup("Ada", "Field").found


def test_names_are_ordered_by_their_bytes(kb: KnowledgeBase) -> None:
    names = ["a-b", "ab", "a b", "é", "z", "ζ", "\U0010fffd", "z\U0010fffd"]
    kb.add((name, "r", "v") for name in names)
    ordered = sorted([*names, "Xanthippe Quarles", "Ada"], key=str.casefold)
    assert kb.entities_starting("") == ordered
    assert kb.entities_starting("z") == ["z", "z\U0010fffd"]


def test_a_name_that_no_index_holds_is_refused_in_one_sentence(kb: KnowledgeBase) -> None:
    long = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(3000))
    with pytest.raises(InputError, match="name is too long"):
        kb.add([(long, "r", "v")])
    assert kb.add([("Ada", "Letter", long)]).added, "a value may be of any length"
    assert kb.verify() == []


# Several at once


def test_what_is_committed_is_seen_at_the_next_lookup_and_not_before(place: PostgresPlace, kb: KnowledgeBase) -> None:
    with place.open() as reader:
        assert not reader.lookup("Ada", "Spouse").found
        with kb.transaction():
            kb.add([("Ada", "Spouse", "William")])
            assert not reader.lookup("Ada", "Spouse").found
        assert reader.lookup("Ada", "Spouse").found
        with reader._database.snapshot():
            before = reader.digest()
            kb.retract(2)
            assert reader.digest() == before
        assert reader.digest() == kb.digest() != before


def test_a_writer_that_waits_too_long_says_so(
    place: PostgresPlace, kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamlam.kb.postgres._WRITER_SECONDS", 0.05)
    waits = pytest.raises(LamLamError, match="being written to by another program")
    with place.open() as other, kb.transaction(), waits:
        other.add([("a", "b", "c")])
    assert kb.verify() == []


def _write(address: str, number: int, start: "multiprocessing.synchronize.Barrier") -> None:
    with KnowledgeBase.open(address, create=True) as kb:
        start.wait(60)
        for step in range(8):
            with kb.transaction(actor=f"writer {number}"):
                kb.add([("Shared", "Field", f"value {step}")], source=Source(f"doc {number}"))
                kb.add([(f"Own {number}", "Step", f"value {step}"), (f"Own {number}", "Twin", f"value {step}")])
            [*_, last] = kb.lookup(f"Own {number}", "Step").facts
            kb.edit(last.id, value=f"edited {step}")


def test_many_writers_lose_nothing_and_double_nothing(place: PostgresPlace) -> None:
    """They also meet at making the tables."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(4)
    writers = [context.Process(target=_write, args=(place.address, number, start)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(100)
    assert [writer.exitcode for writer in writers] == [0] * 4
    with place.open() as kb:
        assert kb.verify() == []
        shared = kb.lookup("Shared", "Field").facts
        assert sorted(fact.value for fact in shared) == [f"value {step}" for step in range(8)]
        assert all(len(fact.sources) == 4 for fact in shared)
        for number in range(4):
            assert kb.lookup(f"Own {number}", "Step").values == tuple(f"edited {step}" for step in range(8))
        log = kb.log()
        assert len(log) == 4 * 8 * 2
        assert [each.time for each in log] == sorted(each.time for each in log), "numbered as they were committed"
        for each in log:
            if each.action == "transaction":
                view = kb.at(each.id)
                own = each.actor.replace("writer", "Own")
                assert len(view.lookup(own, "Step").facts) == len(view.lookup(own, "Twin").facts), "whole revisions"


# Checks and erasing


def test_verify_tells_rows_that_point_nowhere(kb: KnowledgeBase) -> None:
    kb._database.run("SET session_replication_role = replica")  # no foreign key is checked
    kb._database.run("DELETE FROM relation WHERE id = 1")
    assert "1 rows point at rows that do not exist" in kb.verify()


def test_the_planners_statistics_forget_too(kb: KnowledgeBase, place: PostgresPlace) -> None:
    kb.add((f"Entity {number % 9}", "r", "the secret of Wrzeszcz") for number in range(99))
    kb._database.run("ANALYZE")
    statistics = "SELECT count(*) FROM pg_stats WHERE schemaname = ? AND most_common_vals::text LIKE '%secret of%'"
    assert kb._database.scalar(statistics, (place.schema,))
    certificate = kb.forget(value="the secret of Wrzeszcz")
    assert certificate.clean
    assert "pg_statistic" in certificate.scan.files
    assert not kb._database.scalar(statistics, (place.schema,))
    assert place.left("secret of Wrzeszcz") == set()


def test_what_another_knowledge_base_of_the_server_holds_is_not_left_over(
    kb: KnowledgeBase, make_place: Callable[[str], PostgresPlace]
) -> None:
    with make_place("postgres").open(create=True) as other:
        other.add((f"Entity {number % 9}", "born in", "Wrzeszcz") for number in range(99))
        other._database.run("ANALYZE")
        certificate = kb.forget(1)
        assert certificate.clean
        assert certificate.scan.shared == 1


def test_what_somebody_still_reads_is_told_and_erased_at_the_next_opening(
    kb: KnowledgeBase, place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamlam.kb.postgres_erasure._WAIT_SECONDS", 0.2)
    with psycopg.connect(place.address) as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1").fetchone()
        certificate = kb.forget(1)
        assert not certificate.clean
        assert kb.verify() == ["an erasure was interrupted before the file was cleaned"]
        assert kb.lookup(*FACTS[0][:2]).status is Status.FORGOTTEN
        assert reader.execute("SELECT count(*) FROM fact").fetchone() == (2,)
    with place.open() as again:
        assert again.verify() == []
    assert place.left("Xanthippe", "Wrzeszcz") == set()


def test_a_role_that_may_not_read_files_is_told_what_was_not_searched(
    kb: KnowledgeBase, place: PostgresPlace, postgres: PostgresServer
) -> None:
    assert kb.forget(1).scan.unsearched == ("write-ahead log",)
    _grant(postgres, place, "owning", "ALL", "ALL")
    kb.close()
    with KnowledgeBase.open(postgres.url(place.schema, user="owning")) as own:
        own.add([("Bob", "Birthplace", "Sopot-on-Sea"), ("Carol", "Note", "born in Sopot-on-Sea")])
        scan = own.forget(entity="Bob").scan
        assert scan.unsearched == ("files of the server", "write-ahead log")
        assert "rows of fact" in scan.files
        assert (scan.left_over, scan.shared) == (0, 1)
        assert place.left("Birthplace", "Bob") == set()


def test_what_only_the_owner_may_rewrite_waits_for_the_owner(
    kb: KnowledgeBase, place: PostgresPlace, postgres: PostgresServer
) -> None:
    _grant(postgres, place, "writing", "USAGE", "SELECT, INSERT, UPDATE, DELETE")
    with KnowledgeBase.open(postgres.url(place.schema, user="writing")) as writer:
        assert writer.add([("Eve", "Field", "secrets")]).added
        assert not writer.forget(1).clean
        assert writer.lookup(*FACTS[0][:2]).status is Status.FORGOTTEN
    with KnowledgeBase.open(postgres.url(place.schema, user="writing")) as writer:
        assert "an erasure was interrupted before the file was cleaned" in writer.verify()
    with place.open() as owner:
        assert owner.verify() == []
    assert place.left("Xanthippe", "Wrzeszcz") == set()


def test_a_large_knowledge_base_is_not_rewritten_and_the_certificate_tells_it(
    kb: KnowledgeBase, place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamlam.kb.postgres_erasure._REWRITTEN_BYTES", 0)
    kb.add([("Zoe", "Hobby", "quilting by moonlight")])
    certificate = kb.forget(entity="Zoe")
    assert place.left("quilting by moonlight")
    assert not certificate.clean
    assert kb.lookup("Zoe", "Hobby").status is Status.FORGOTTEN


def test_digests_before_and_after_are_of_all_rows(kb: KnowledgeBase) -> None:
    kb.retract(1)
    before, content = kb._database.digest(), kb.digest()
    certificate = kb.forget(1)
    assert kb.digest() == content, "a past fact is no part of what holds"
    assert certificate.before == before != certificate.after != kb._database.digest()
    with kb._database.transaction():
        kb._certificates.put(replace(certificate, before=None, after=None, scan=None))
    assert certificate.after == kb._database.digest(), "before the finished certificate was put in"


def test_a_failed_forget_keeps_no_transaction_open(kb: KnowledgeBase) -> None:
    assert isinstance(kb._database, PostgresDatabase)
    with pytest.raises(InputError):
        kb.forget(99)
    assert kb._database._before is None


def _grant(postgres: PostgresServer, place: PostgresPlace, role: str, schema: str, tables: str) -> None:
    """Let a role use a knowledge base; one that may do all becomes its owner."""
    postgres.execute(f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
    postgres.execute(f"GRANT {schema} ON SCHEMA {place.schema} TO {role}")
    postgres.execute(f"GRANT {tables} ON ALL TABLES IN SCHEMA {place.schema} TO {role}")
    if tables == "ALL":
        postgres.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {place.schema} TO {role}")
        for row in postgres.rows(f"SELECT tablename FROM pg_tables WHERE schemaname = '{place.schema}'"):
            postgres.execute(f"ALTER TABLE {place.schema}.{row[0]} OWNER TO {role}")
