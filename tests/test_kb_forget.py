"""Forgetting: no byte of it is left, it is said to be forgotten, and it does not come back."""

import hashlib
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamlam.corpus import FactRecord
from lamlam.errors import InputError, LamLamError
from lamlam.kb import Certificate, KnowledgeBase, Source, Status
from lamlam.kb.database import Database
from lamlam.kb.remains import Tombstones
from lamlam.kb.scan import Scan, blank_free_bytes, search
from places import FilePlace, Place

in_a_file = pytest.mark.parametrize("place", ["sqlite"], indirect=True)

SECRET = "Xanthippe Quarles"
FACTS = [
    FactRecord(SECRET, "Birthplace", "Wrzeszcz", document="dossier-77", start=0, end=5),
    FactRecord(SECRET, "Field", "botany", document="dossier-77"),
    FactRecord("Ada Lovelace", "Birthplace", "London", document="dossier-78"),
    FactRecord("Ada Lovelace", "Field", "mathematics", document="dossier-77"),
    FactRecord("Ada Lovelace", "Field", "mathematics", document="dossier-78"),
]


@pytest.fixture
def kb(place: Place) -> Iterator[KnowledgeBase]:
    with place.open(create=True) as opened:
        opened.add(FACTS)
        yield opened


def test_the_bytes_of_a_forgotten_entity_are_in_no_file(kb: KnowledgeBase, place: Place) -> None:
    kb.alias("The Gardener", entity=SECRET, reason="Xanthippe Quarles is known so")
    kb.edit(kb.lookup(SECRET, "Birthplace").facts[0].id, value="Oliwa", actor="xanthippe_quarles")
    secrets = (SECRET, "Xanthippe", "Wrzeszcz", "Oliwa", "botany", "The Gardener")
    assert place.left(*secrets) == set(secrets)
    certificate = kb.forget(entity="the gardener")
    assert place.left(*secrets) == set()
    assert certificate.clean
    assert certificate.scan is not None
    assert {"kb.sqlite", "entity_spelling"} & set(certificate.scan.files)
    assert certificate.scan.searched >= len(secrets) - 1
    assert not any(secret in str(certificate.as_json()) for secret in secrets)
    assert [revision.reason for revision in kb.log()][1:2] == ["[erased]"]
    assert kb.verify() == []
    kb.close()
    assert place.left(*secrets) == set()


def test_a_certificate_counts_what_went(kb: KnowledgeBase) -> None:
    certificate = kb.forget(entity=SECRET)
    assert certificate.facts == (1, 2)
    assert certificate.erased == {
        "fact": 2, "source": 2, "alias": 0, "entity": 1, "relation": 0, "document": 0,
    }  # fmt: skip
    assert (certificate.dry_run, certificate.revision) == (False, 2)
    assert certificate.before != certificate.after
    assert certificate.tombstones == kb.stats().tombstones > 0


def test_a_dry_run_changes_nothing(kb: KnowledgeBase) -> None:
    before = (kb.digest(), kb.stats(), len(kb.log()))
    certificate = kb.forget(entity=SECRET, relation="Field", dry_run=True)
    assert (certificate.facts, certificate.erased) == ((2,), {"fact": 1, "source": 1})
    assert certificate.dry_run
    assert not certificate.clean
    assert (kb.digest(), kb.stats(), len(kb.log())) == before
    assert kb.lookup(SECRET, "Field").found


@pytest.mark.parametrize("relation", ["Birthplace", "birthplace", "Place of Birth", "birth_place", "Born at"])
@pytest.mark.parametrize("entity", [SECRET, "xanthippe  quarles", "The Gardener"])
def test_a_forgotten_fact_is_said_to_be_forgotten_and_refused(kb: KnowledgeBase, entity: str, relation: str) -> None:
    kb.alias("The Gardener", entity=SECRET)
    kb.alias("Born at", relation="Birthplace")
    kb.forget(1)
    assert kb.lookup(entity, relation).status is Status.FORGOTTEN
    report = kb.add([(entity, relation, "wrzeszcz"), (SECRET, "Height", "170")])
    assert (report.added, [fact.relation for fact in report.refused]) == (1, [relation])
    assert kb.lookup(SECRET, "Field").values == ("botany",)


def test_a_name_whose_entity_is_gone_is_not_led_to_one_spelled_alike(kb: KnowledgeBase) -> None:
    kb.add([("Xanthippe Quarlis", "Birthplace", "Hel")])
    assert kb.lookup("Xanthippe Quarle", "Birthplace").status in (Status.AMBIGUOUS, Status.FUZZY)
    kb.forget(entity=SECRET)
    assert kb.lookup(SECRET, "Birthplace").status is Status.FORGOTTEN
    assert kb.lookup(SECRET, "Height").status is Status.FORGOTTEN


def test_another_value_can_take_the_place_but_not_by_an_edit_to_the_old_one(kb: KnowledgeBase) -> None:
    kb.forget(entity=SECRET, relation="Birthplace", value="WRZESZCZ")
    kb.add([(SECRET, "Birthplace", "Gdynia")])
    [fact] = kb.lookup(SECRET, "Birthplace").facts
    assert fact.value == "Gdynia"
    with pytest.raises(LamLamError, match="forgotten"):
        kb.edit(fact.id, value="Wrzeszcz")
    assert kb.lookup(SECRET, "Birthplace").values == ("Gdynia",)


def test_the_same_said_in_other_words_goes_too(kb: KnowledgeBase) -> None:
    kb.add([("XANTHIPPE QUARLES", "Place of Birth", "Wrzeszcz"), (SECRET, "Home", "Wrzeszcz")])
    certificate = kb.forget(1)
    assert len(certificate.facts) == 2
    assert kb.lookup("xanthippe quarles", "Home").found, "another proposition stays"
    assert certificate.clean, "a name that other facts use is not left over"


def test_what_a_lookup_would_take_for_the_same_goes_too(kb: KnowledgeBase) -> None:
    kb.add([(SECRET, "Occupation", "spy"), (SECRET, "Profession", "spy"), (SECRET, "Code name", "spy")])
    planned = kb.forget(entity=SECRET, relation="Occupation", dry_run=True)
    reasons = {kb.fact(number).relation: reason for number, reason in zip(planned.facts, planned.reasons, strict=True)}
    assert reasons == {"Occupation": "asked", "Profession": "means the same"}
    assert [kb.fact(number).relation for number in planned.related] == ["Code name"]
    kb.forget(entity=SECRET, relation="Occupation")
    assert not kb.lookup(SECRET, "Profession").found


def test_a_statement_the_other_way_round_goes_too(kb: KnowledgeBase) -> None:
    kb.add([(SECRET, "Mother", "Zoe Quarles"), ("zoe quarles", "Child", SECRET), ("Zoe Quarles", "Niece", SECRET)])
    assert kb.inverse("Mother", "Child")
    assert not kb.inverse("Child", "Mother")
    kb.alias("X. Quarles", entity=SECRET)
    planned = kb.forget(entity=SECRET, relation="Mother", dry_run=True)
    assert planned.reasons == ("asked", "states the same the other way round")
    assert [kb.fact(number).relation for number in planned.related] == ["Niece"], "not declared, but told"
    certificate = kb.forget(entity=SECRET, relation="Mother")
    assert (certificate.facts, certificate.related) == (planned.facts, planned.related)
    assert kb.lookup("Zoe Quarles", "Child").status is Status.FORGOTTEN
    again = [
        ("Zoe Quarles", "Child", "X. Quarles"),
        ("X. Quarles", "Mother", "Zoe Quarles"),
        ("Zoe Quarles", "Child", "Y"),
    ]
    report = kb.add(again)
    assert [record.value for record in report.refused] == ["X. Quarles", "Zoe Quarles"]


def test_a_dry_run_says_why_each_fact_would_go_and_what_stays_near(kb: KnowledgeBase) -> None:
    kb.add([("XANTHIPPE QUARLES", "Place of Birth", "Wrzeszcz"), (SECRET, "Home", "Wrzeszcz")])
    new = kb.edit(1, value="Oliwa")
    planned = kb.forget(new.id, dry_run=True)
    assert dict(zip(planned.facts, planned.reasons, strict=True)) == {
        1: "superseded by one of these", 5: "states the same", new.id: "asked",
    }  # fmt: skip
    assert [kb.fact(number).relation for number in planned.related] == ["Home"]


def test_who_knows_the_request_can_prove_the_certificate(kb: KnowledgeBase) -> None:
    certificate = kb.forget(entity=SECRET, relation="Field")
    assert certificate.asked == ("entity", "relation")
    assert certificate.request == kb.request_digest(entity=SECRET.lower(), relation="Field")
    assert certificate.request != kb.request_digest(entity="Ada Lovelace", relation="Field")


def test_what_was_forgotten_is_let_in_again_only_when_it_is_allowed(kb: KnowledgeBase) -> None:
    kb.forget(source="dossier-77")
    again = FACTS[1]
    assert kb.add([again]).refused == (again,)
    report = kb.add([again], allow=True)
    assert (report.added, report.allowed, report.refused) == (1, 1, ())
    assert kb.lookup(SECRET, "Field").values == ("botany",)
    assert kb.add([again]).known == 1, "allowed once, it is no longer refused"
    assert kb.add([FACTS[0]]).refused == (FACTS[0],), "another forgotten fact still is"
    assert kb.verify() == []


def test_history_goes_with_its_fact(kb: KnowledgeBase, place: Place) -> None:
    second = kb.edit(1, value="Sopot")
    third = kb.edit(second.id, value="Hel Peninsula")
    assert kb.forget(third.id).facts == (1, second.id, third.id)
    assert place.left("Sopot", "Wrzeszcz", "Hel Peninsula") == set()
    assert not kb.at(1).lookup(SECRET, "Birthplace").found


def test_a_forgotten_document_takes_what_no_other_states(kb: KnowledgeBase, place: Place) -> None:
    certificate = kb.forget(source="dossier-77")
    assert certificate.facts == (1, 2)
    assert certificate.erased["source"] == 3
    assert place.left("dossier-77", SECRET) == set()
    assert kb.lookup("Ada Lovelace", "Field").facts[0].sources == (Source("dossier-78"),)
    report = kb.add([FactRecord("New One", "r", "v", document="dossier-77")])
    assert len(report.refused) == 1


@pytest.mark.parametrize(
    ("described", "reason"),
    [
        ({"entity": "Nobody"}, "no entity 'Nobody'"),
        ({"fact_id": 99}, "nothing to forget"),
        ({"source": "nowhere"}, "nothing to forget"),
        ({"entity": SECRET, "relation": "Spouse"}, "nothing to forget"),
        ({}, "say what to forget"),
        ({"fact_id": 1, "entity": SECRET}, "say what to forget"),
    ],
)
def test_what_is_not_there_cannot_be_forgotten(kb: KnowledgeBase, described: dict, reason: str) -> None:
    before = kb.stats()
    with pytest.raises(InputError, match=reason):
        kb.forget(**described)
    assert kb.stats() == before


def test_an_interrupted_rewriting_is_made_up_for(
    kb: KnowledgeBase, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Database) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(kb._database), "finish_erasing", fail)
        with pytest.raises(KeyboardInterrupt):
            kb.forget(entity=SECRET)
    assert kb.verify() == ["an erasure was interrupted before the file was cleaned"]
    kb.close()
    with place.open() as again:
        assert again.verify() == []
        assert place.left(SECRET, "Wrzeszcz") == set()


@in_a_file
def test_what_a_reader_keeps_in_the_log_is_told_and_erased_at_the_next_opening(
    kb: KnowledgeBase, place: FilePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place.address
    kb._database.run("PRAGMA busy_timeout = 50")
    monkeypatch.setattr("lamlam.kb.sqlite_connection.WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM fact").fetchone()
        assert not kb.forget(entity=SECRET).clean
        assert b"Wrzeszcz" in path.with_name("kb.sqlite-wal").read_bytes()
        assert kb.verify() == ["an erasure was interrupted before the file was cleaned"]
        assert kb.lookup(SECRET, "Birthplace").status is Status.FORGOTTEN
    with KnowledgeBase.open(path) as again:
        assert again.verify() == []
        assert place.left(SECRET, "Wrzeszcz") == set()


@in_a_file
def test_a_certificate_tells_the_file_as_it_was_and_as_it_is(kb: KnowledgeBase, place: FilePlace) -> None:
    kb._database.settle()
    before = hashlib.sha256(place.address.read_bytes()).hexdigest()
    certificate = kb.forget(entity=SECRET)
    after = hashlib.sha256(place.address.read_bytes()).hexdigest()
    assert (certificate.before, certificate.after) == (before, after)


def _search(folder: Path, *texts: str, rows_only: tuple[str, ...] = ()) -> Scan:
    files = {path.name: iter([path.read_bytes()[:-1], b"."]) for path in sorted(folder.iterdir())}
    return search(files, texts, rows_only)


@in_a_file
def test_pages_whose_rows_were_moved_about_keep_no_copy(place: FilePlace) -> None:
    """Rows of many sizes, written in no order, so that SQLite moves them within and between pages."""
    rng = random.Random(1)
    names = [f"{rng.getrandbits(64):016x} {'x' * rng.randrange(60)}" for _ in range(3000)]
    with place.open(create=True) as kb:
        for start in range(0, 3000, 100):
            kb.add((name, f"relation {name[:9]}", f"value {name[3:15]}") for name in names[start : start + 100])
        chosen = rng.sample(names, 40)
        for name in chosen:
            assert kb.forget(entity=name).clean
        assert place.left(*(name[:16] for name in chosen), *(f"value {name[3:15]}" for name in chosen)) == set()
        assert kb.verify() == []


@in_a_file
def test_blanking_pages_leaves_every_row_and_no_gap(place: FilePlace) -> None:
    path = place.address
    with place.open(create=True) as kb:
        kb.add((f"Entity {number * 7919 % 2000}", f"r{number % 7}", "v" * (number % 90 + 1)) for number in range(2000))
        digest = kb.digest()
    with path.open("r+b", buffering=0) as file:
        assert blank_free_bytes(file) > 0
        assert blank_free_bytes(file) == 0
    with KnowledgeBase.open(path) as kb:
        assert (kb.digest(), kb.verify()) == (digest, [])


def test_blanking_reaches_free_blocks_and_free_pages(tmp_path: Path) -> None:
    """As SQLite leaves them without `secure_delete`: rows of one page deleted here and there, and whole pages."""
    path = tmp_path / "plain.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
        rows = ((n, f"{'gone' if n % 3 == 0 or n < 900 else 'kept'}-{n:05}") for n in range(3000))
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.execute("COMMIT")
        connection.execute("INSERT INTO t VALUES (9999, ?)", ("gone" * 5000,))
        connection.execute("DELETE FROM t WHERE x LIKE 'gone%'")
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 5
        kept = connection.execute("SELECT * FROM t").fetchall()
    assert path.read_bytes().count(b"gone") > 1000
    with path.open("r+b", buffering=0) as file:
        assert blank_free_bytes(file) > 0
        assert blank_free_bytes(file) == 0
    assert b"gone" not in path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT * FROM t").fetchall() == kept


@in_a_file
def test_the_scan_finds_what_is_there(kb: KnowledgeBase, place: FilePlace) -> None:
    every = tuple(path.name for path in place.folder.iterdir())
    found = _search(place.folder, "Wrzeszcz", "no such string", "abc", rows_only=every)
    assert (found.searched, found.short, found.shared, found.left_over) == (2, 1, 1, 0)
    assert _search(place.folder, "Wrzeszcz").left_over == 1
    assert _search(place.folder, "Wrzeszcz", *(f"no such string {number}" for number in range(20))).left_over == 1


def test_what_stands_in_another_row_is_shared_and_not_left_over(kb: KnowledgeBase) -> None:
    kb.add([("A street", "Named after", f"the well-known {SECRET} of Wrzeszcz")])
    certificate = kb.forget(1)
    assert certificate.clean
    assert certificate.scan is not None
    assert certificate.scan.shared == 1


def test_forgetting_works_in_memory() -> None:
    with KnowledgeBase.open(":memory:") as kb:
        kb.add(FACTS)
        assert kb.forget(entity=SECRET).clean
        assert SECRET.encode() not in kb._database.serialized()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    facts=st.lists(st.tuples(*[st.text("ab_ é'\"%", min_size=1, max_size=3)] * 3), min_size=1, max_size=8),
    data=st.data(),
)
def test_any_fact_can_be_forgotten_and_the_rest_stays(
    place: Place, facts: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    with place.fresh() as kb:
        kb.add(fact for fact in facts if all(part.replace("_", " ").strip() for part in fact))
        held = list(kb.facts())
        if not held:
            return
        chosen = data.draw(st.sampled_from(held))
        certificate: Certificate = kb.forget(chosen.id)
        assert chosen.id in certificate.facts
        assert kb.verify() == []
        assert [fact for fact in held if fact.id not in certificate.facts] == list(kb.facts())
        found = kb.lookup(chosen.entity, chosen.relation)
        assert chosen.value not in found.values
        assert found.found or found.status is Status.FORGOTTEN
        assert kb.add([(chosen.entity, chosen.relation, chosen.value)]).refused


@in_a_file
def test_it_works_without_what_only_posix_has(
    kb: KnowledgeBase, place: FilePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pread", "pwrite"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(os, "open", _refusing_folders(os.open))
    assert kb.forget(entity=SECRET).clean
    kb.close()
    with place.open() as again:
        assert again.verify() == []
    assert place.left(SECRET, "Wrzeszcz") == set()
    facts = [FactRecord("a", "b", "c")]
    with KnowledgeBase.open(place.folder / "new.sqlite", create=True) as new:
        assert new.load(facts).added == 1


def _refusing_folders(system: Callable[..., int]) -> Callable[..., int]:
    """As Windows does."""

    def opened(path: str, *arguments: Any, **options: Any) -> int:
        if isinstance(path, str | Path) and Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        return system(path, *arguments, **options)

    return opened


@in_a_file
def test_a_file_that_cannot_be_cleaned_can_be_read(
    kb: KnowledgeBase, place: FilePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is gone from the rows is gone from lookups; the rest can wait."""

    def fail(file: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("lamlam.kb.sqlite.blank_free_bytes", fail)
        with pytest.raises(LamLamError, match="cannot be read or written: Input/output error"):
            kb.forget(entity=SECRET)
        kb.close()
        with place.open() as again:
            assert again.lookup(SECRET, "Birthplace").status is Status.FORGOTTEN
            assert again.verify() == ["an erasure was interrupted before the file was cleaned"]
    with place.open() as again:
        assert again.verify() == []


def test_tombstones_of_files_made_earlier_stay_recognised() -> None:
    """The digests are part of the file format: these were written by an earlier version under the same key."""
    with KnowledgeBase.open(":memory:", create=True) as kb:
        kb.add([("a", "b", "c")])
        kb._database.run("UPDATE meta SET value = ? WHERE key = 'tombstone_key'", (bytes(range(32)),))
        stored = Tombstones(kb._database)
        digests = {
            *stored.propositions("Ada Sample", "Birth Place", "Rome"),
            *stored.slots("Ada Sample", "Birth Place"),
            stored.entity("Ada Sample"),
            stored.partly_forgotten("Ada Sample"),
            stored.document("doc-1"),
        }
        request = stored.request({"entity": "Ada Sample"})
    assert {digest.hex() for digest in digests} == {
        "5886efde24a8d9cc09d890e89e9ef80c",
        "f34abcf9dec08f5e0cbc97ae61d52920",
        "7c7490b0e5cb7ddd10cc3cbfe825e7ec",
        "8d8ee427810d1270f69d8644ceb4cff3",
        "59c2fc9b7fdd1b4055c8348674a51c9f",
        "e525fa6bd547e7deb79e09c2f8d29e61",
        "b6a7c8c7192a1bf3eaf7383a7992e535",
    }
    assert request == "5727524805078b7585db609230dca8ba"
