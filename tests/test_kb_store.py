"""The knowledge base: identity, sources, history, aliases, transactions, and files that are none."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from lamlam.corpus import FactRecord
from lamlam.errors import InputError, LamLamError
from lamlam.kb import KnowledgeBase, Source, Stats, Status
from lamlam.kb.names import canonical
from places import FilePlace, Place

CURIE = ("Marie Curie", "Birthplace", "Warsaw")
FACTS = [CURIE, ("Marie Curie", "Field", "physics"), ("Pierre Curie", "Birthplace", "Paris")]
HOSTILE = [
    "'; DROP TABLE fact; --",
    '" OR norm:* NEAR(',
    "[bold red]x[/] \x1b[31m",
    "%_\\",
    "<|db_return|>",
    "line\nbreak\r\n",
    "🧪 e\u0301 \u202e",
    "x" * 5000,
]


@pytest.fixture
def kb(place: Place) -> Iterator[KnowledgeBase]:
    with place.fresh() as opened:
        opened.add(FACTS)
        yield opened


def _id(kb: KnowledgeBase, entity: str, relation: str) -> int:
    [fact] = kb.lookup(entity, relation).facts
    return fact.id


# Identity and sources


def test_the_same_proposition_from_two_documents_is_one_fact_with_two_sources(kb: KnowledgeBase) -> None:
    first = _id(kb, "Marie Curie", "Birthplace")
    report = kb.add([FactRecord(*CURIE, document="one", start=3, end=9)])
    assert (report.added, report.known) == (0, 1)
    kb.add([CURIE, CURIE], source=Source("two"))
    [fact] = kb.lookup("Marie Curie", "Birthplace").facts
    assert fact.id == first
    assert fact.sources == (Source("one", 3, 9), Source("two"))
    assert kb.stats().facts == 3


def test_several_values_come_in_the_order_they_were_added(kb: KnowledgeBase) -> None:
    kb.add([("Marie Curie", "Field", "chemistry")])
    assert kb.lookup("Marie Curie", "Field").values == ("physics", "chemistry")


def test_ids_outlast_closing_it(place: Place) -> None:
    with place.open(create=True) as kb:
        kb.add(FACTS)
        before = [(fact.id, fact.entity, fact.value) for fact in kb.facts()]
    with place.open() as kb:
        assert [(fact.id, fact.entity, fact.value) for fact in kb.facts()] == before


def test_a_closed_file_stands_alone(tmp_path: Path) -> None:
    with FilePlace(tmp_path).open(create=True) as kb:
        kb.add(FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["kb.sqlite"]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_kept_and_found_as_it_is(kb: KnowledgeBase, text: str) -> None:
    kb.add([FactRecord(text, text, text, document=text)])
    kb.alias(text + "!", entity=text)
    assert kb.lookup(text, text).facts[0].sources == (Source(text),)
    assert kb.lookup(text + "!", text).values == (text,)
    kb.lookup(text[:-1] + "?", "Birthplace")
    assert canonical(text) in kb.entities_named([text]).values()
    assert kb.lookup("Marie Curie", text).status is Status.UNKNOWN_RELATION
    assert kb.lookup(*CURIE[:2]).values == ("Warsaw",)
    assert kb.verify() == []


@pytest.mark.parametrize(
    ("fact", "field"),
    [
        ((" ", "r", "v"), "entity"),
        (("e", "_", "v"), "relation"),
        (("e", "r", ""), "value"),
        (("e", "r", "\ud800"), "value"),
        (("e", "r", "v", "", 0, 1), "document"),
        (("e", "r", "v", "d", 5, 2), "source"),
        (("e", "r", "v", "d", 0, 10**30), "source"),
        (("e", "r", "v", "d", -2, -1), "source"),
        (("e", "r", "v", None, None, None, ("",)), "aliases.entity"),
    ],
)
def test_a_bad_fact_is_told_and_nothing_is_added(kb: KnowledgeBase, fact: tuple, field: str) -> None:
    before = kb.stats()
    with pytest.raises(InputError) as raised:
        kb.add([FactRecord("New", "r", "v"), FactRecord(*fact)])
    assert raised.value.field == field
    assert kb.stats() == before


# History


def test_an_edit_supersedes_and_the_old_fact_stays_in_the_history(kb: KnowledgeBase) -> None:
    old = _id(kb, "Marie Curie", "Field")
    new = kb.edit(old, value="chemistry", actor="me", reason="better")
    assert kb.lookup("Marie Curie", "Field").values == ("chemistry",)
    assert new.supersedes == old
    assert [(fact.id, fact.value, fact.until) for fact in kb.history(new.id)] == [
        (old, "physics", new.since),
        (new.id, "chemistry", None),
    ]
    assert kb.history(old) == kb.history(entity="marie curie", relation="field") == kb.history(new.id)
    last = kb.log()[-1]
    assert (last.action, last.actor, last.reason, last.began, last.ended) == ("edit", "me", "better", 1, 1)


def test_every_revision_can_be_read_again(kb: KnowledgeBase) -> None:
    kb.edit(_id(kb, "Marie Curie", "Field"), value="chemistry")
    kb.retract(_id(kb, "Pierre Curie", "Birthplace"))
    kb.alias("Skłodowska", entity="Marie Curie")
    assert kb.at(1).lookup("Marie Curie", "Field").values == ("physics",)
    assert kb.at(2).lookup("Marie Curie", "Field").values == ("chemistry",)
    assert kb.at(2).lookup("Pierre Curie", "Birthplace").found
    assert not kb.at(3).lookup("Pierre Curie", "Birthplace").found
    assert kb.at(3).lookup("Skłodowska", "Field").status is Status.UNKNOWN_ENTITY
    assert kb.at(0).lookup("Marie Curie", "Field").status is Status.UNKNOWN_ENTITY
    assert kb.at(4).digest() == kb.digest() != kb.at(2).digest()
    with pytest.raises(LamLamError, match="no revision 9"):
        kb.at(9)


def test_what_was_retracted_is_no_answer_and_cannot_end_twice(kb: KnowledgeBase) -> None:
    number = _id(kb, "Marie Curie", "Field")
    kb.retract(number)
    assert kb.lookup("Marie Curie", "Field").status is Status.UNKNOWN_RELATION
    assert kb.fact(number).until == 2
    for change in (lambda: kb.retract(number), lambda: kb.edit(number, value="x")):
        with pytest.raises(LamLamError, match="ended with revision 2"):
            change()
    kb.add([("Marie Curie", "Field", "physics")])
    assert _id(kb, "Marie Curie", "Field") != number


def test_what_no_file_could_hold_is_bad_input(kb: KnowledgeBase) -> None:
    with pytest.raises(InputError, match="surrogate"):
        kb.lookup("\ud800", "Field")
    with pytest.raises(InputError, match="too large"):
        kb.fact(10**30)


def test_there_is_no_fact_of_an_unknown_id(kb: KnowledgeBase) -> None:
    for call in (kb.fact, kb.retract, kb.history):
        with pytest.raises(InputError, match="no fact 99"):
            call(99)


# Aliases


def test_an_alias_is_a_pointer_to_what_the_entity_has_now(kb: KnowledgeBase) -> None:
    assert kb.alias("Madame Curie", entity="Marie Curie")
    assert not kb.alias("Madame Curie", entity="Marie Curie")
    kb.edit(_id(kb, "Marie Curie", "Field"), value="chemistry")
    found = kb.lookup("madame curie", "field")
    assert (found.status, found.values, found.facts[0].entity) == (Status.ALIAS, ("chemistry",), "Marie Curie")
    kb.add([("Madame Curie", "Spouse", "Pierre Curie")])
    assert kb.lookup("Marie Curie", "Spouse").values == ("Pierre Curie",)
    assert kb.alias("Profession", relation="Field")
    assert kb.lookup("Marie Curie", "Profession").status is Status.ALIAS


def test_an_alias_needs_one_thing_to_point_at(kb: KnowledgeBase) -> None:
    with pytest.raises(InputError, match="no entity 'Nobody'"):
        kb.alias("X", entity="Nobody")
    with pytest.raises(InputError, match="an entity, or a relation, or a value"):
        kb.alias("X", entity="Marie Curie", relation="Field")


# Transactions


def test_a_transaction_is_one_revision_or_nothing(kb: KnowledgeBase) -> None:
    with kb.transaction("me", "both") as revision:
        kb.edit(_id(kb, "Marie Curie", "Field"), value="chemistry")
        kb.retract(_id(kb, "Pierre Curie", "Birthplace"))
    assert [each.id for each in kb.log()] == [1, revision]

    def held() -> tuple[str, Stats]:
        """A server keeps the room that a write took which was rolled back: there, bytes tell nothing of content."""
        stats = kb.stats()
        return kb.digest(), stats if kb.path is not None else replace(stats, bytes=0)

    before = held()

    def fail() -> None:
        with kb.transaction():
            kb.add([("A", "b", "c")])
            kb.retract(_id(kb, "Marie Curie", "Field"))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        fail()
    assert held() == before
    with kb.transaction(), pytest.raises(LamLamError, match="by itself"):
        kb.forget(entity="Marie Curie")


def test_a_crash_inside_a_transaction_leaves_nothing(place: Place) -> None:
    with place.open(create=True) as kb:
        kb.add(FACTS)
        before = (kb.digest(), replace(kb.stats(), bytes=0))
    code = """
import os, sys
from lamlam.kb import KnowledgeBase
kb = KnowledgeBase.open(sys.argv[1])
def facts():
    for number in range(1000):
        yield f"Entity {number}", "r", "v"
    os._exit(9)
kb.add(facts())
"""
    crashed = subprocess.run([sys.executable, "-c", code, str(place.address)], env={**os.environ}, check=False)
    assert crashed.returncode == 9
    with place.open() as kb:
        assert (kb.digest(), replace(kb.stats(), bytes=0)) == before
        assert kb.verify() == []


# Digest and checks


def test_the_digest_tells_content_and_not_order(kb: KnowledgeBase, place: Place) -> None:
    with place.fresh() as other:
        other.add(reversed(FACTS))
        assert other.digest() == kb.digest()
        other.add([CURIE], source=Source("doc"))
        assert other.digest() != kb.digest()
        first = kb.digest()
        kb.alias("X", entity="Marie Curie")
        assert kb.digest() != first


def test_verify_tells_what_is_wrong(kb: KnowledgeBase) -> None:
    assert kb.verify() == []
    kb._database.run("UPDATE entity SET name = 'other' WHERE id = 1")
    kb._database.run("INSERT INTO document (name) VALUES ('unused')")
    kb._database.run("UPDATE value_key SET key = key + 1 WHERE fact = 2")
    kb._database.run("INSERT INTO entity_key VALUES (7, 7, 7)")
    kb._database.run(
        "INSERT INTO fact (entity, relation, value, since) SELECT entity, relation, value, since FROM fact WHERE id = 1"
    )
    assert kb.verify() == [
        "1 documents state nothing",
        "1 facts are stated twice",
        "1 names or aliases of entity cannot be found by their spelling",
        "2 keys of values are missing",
        "value_key has keys of nothing",
        "entity_key has keys of nothing",
    ]


def test_verify_compares_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb._database.run("DROP INDEX fact_slot")
        kb._database.run("CREATE TABLE mine (id INTEGER)")
        assert sorted(kb.verify()) == [
            "fact_slot is not a table or index of this version of the schema",
            "mine is not a table or index of this version of the schema",
        ]


# Files that are none


def test_a_missing_file_is_made_only_when_asked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such knowledge base"):
        KnowledgeBase.open(tmp_path / "kb.sqlite")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="folder does not exist"):
        KnowledgeBase.open(tmp_path / "nowhere" / "kb.sqlite", create=True)
    with pytest.raises(InputError, match="is not a file"):
        KnowledgeBase.open(tmp_path, create=True)


def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("notes")
    with pytest.raises(InputError, match="not a knowledge base"):
        KnowledgeBase.open(text, create=True)
    assert text.read_text() == "notes"
    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE fact (id)")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match="SQLite file, but not a knowledge base"):
        KnowledgeBase.open(other)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb.add((f"Entity {number}", "relation", f"value {number}") for number in range(500))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 - 100])
    with pytest.raises(LamLamError, match="damaged"), KnowledgeBase.open(path) as kb:
        list(kb.facts())
    path.write_bytes(whole[:4096] + bytes(len(whole) - 4096))
    with pytest.raises(LamLamError, match="damaged"), KnowledgeBase.open(path) as kb:
        list(kb.facts())


def test_a_read_only_file_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb.add(FACTS)
    monkeypatch.setattr("lamlam.kb.sqlite.os.access", lambda *_: False)
    with KnowledgeBase.open(path) as kb:
        assert kb.lookup(*CURIE[:2]).found
        with pytest.raises(LamLamError, match="read-only"):
            kb.retract(1)


def test_statements_keep_those_of_an_entity_together(place: Place) -> None:
    with place.fresh() as kb:
        kb.add([("Ada", "Trade", "baker"), ("Bob", "Trade", "cook"), ("Ada", "Born In", "Rome")])
        kb.edit(next(kb.facts("Bob", "Trade")).id, value="smith")
        found = list(kb.statements())
    assert sorted(found) == [("Ada", "Born In", "Rome"), ("Ada", "Trade", "baker"), ("Bob", "Trade", "smith")]
    assert len(list(groupby(found, key=lambda statement: statement[0]))) == 2
