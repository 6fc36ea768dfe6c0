"""Names: what does not show makes no other name, signs and digits do, and names stored before are brought into form."""

import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamlam.corpus import FactRecord
from lamlam.kb import KnowledgeBase, Source, Status
from lamlam.kb.files import copy_database
from lamlam.kb.names import canonical, normalise
from lamlam.kb.schema import APPLICATION_ID
from lamlam.kb.similarity import name_similarity
from lamlam.kb.sqlite import SQLiteDatabase
from places import Place

# A knowledge base of the time when names were stored as they came, as SQLite dumps it.
BEFORE = Path(__file__).with_name("names_before.sql")
SAME = ["Zoë Roe", " Zoë Roe", "Zoë Roe ", "Zoë  Roe", "Zoë\u00a0Roe", "Zoë\u2003Roe", "Zoe\u0308 Roe", "Zo\u200bë Roe",
        "Zoë\t\u200b Roe", "\ufeffZoë Roe", "Zoë\u200d Roe", "Zo\u00adë Roe", "\u202aZoë Roe\u202c"]  # fmt: skip


@pytest.fixture
def kb(place: Place) -> Iterator[KnowledgeBase]:
    with place.fresh() as opened:
        yield opened


@pytest.mark.parametrize("name", SAME)
def test_what_does_not_show_makes_no_other_name(kb: KnowledgeBase, name: str) -> None:
    kb.add([FactRecord(name, "Birth place", "London"), FactRecord("Zoë Roe", "Birth place", "London", "doc")])
    kb.alias(f"{name} I", entity=name)
    kb.alias("Zoë Roe I", entity="Zoë Roe")
    (fact,) = kb.facts()
    assert (fact.entity, fact.sources) == ("Zoë Roe", (Source("doc"),))
    assert kb.lookup(name, "Birth\u00a0place").status is Status.EXACT
    assert kb.entities_named([name]) == {name: "Zoë Roe"}
    assert [alias for alias, _ in kb.aliases_of(name)] == ["Zoë Roe I"]
    kb.forget(entity=name)
    assert kb.lookup("Zoë Roe", "Birth place").status is Status.FORGOTTEN
    assert kb.stats().facts == 0
    assert kb.verify() == []


def test_an_import_in_bulk_makes_the_same_names(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        kb.load(FactRecord(name, f" Birth\u00a0{place}", "London") for name in SAME for place in ("place", "place "))
        assert [(fact.entity, fact.relation) for fact in kb.facts()] == [("Zoë Roe", "Birth place")]
        assert kb.verify() == []


def test_joiners_stay_where_they_show_and_make_no_other_name() -> None:
    persian = "می\u200cخواهم"
    assert canonical(persian) == persian
    assert normalise(persian) == normalise(persian.replace("\u200c", ""))
    assert canonical("Ada\u200cExample") == "AdaExample"


@given(st.text())
def test_the_canonical_form_is_the_last_and_is_compared_alike(text: str) -> None:
    name = canonical(text)
    assert canonical(name) == name == unicodedata.normalize("NFC", name)
    assert normalise(name) == normalise(text)


# Signs


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("C#", "C"), ("C", "C#"), ("C++", "C"), ("C++", "C#"), ("C--", "C"), ("Google+", "Google"), ("A+", "A-"),
        ("A−", "A"), ("F-16", "F 16"), ("F-16", "F16"), ("Channel 4+1", "Channel 41"), ("Ke$ha", "Kesha"),
        ("Sagittarius A*", "Sagittarius A"), ("R&B Charts", "RB Charts"), ("Vitamin B12", "Vitamin B1"),
        ("The C# Programmer", "The C Programmer"), ("A+ and B", "A and B+"), ("Foobar#", "Foobar"),
    ],
)  # fmt: skip
def test_a_sign_or_a_digit_is_no_slip(kb: KnowledgeBase, asked: str, held: str) -> None:
    assert name_similarity(normalise(asked), normalise(held)) == 0.0
    kb.add([(held, "Year", "1972")])
    assert kb.lookup(asked, "Year").status is Status.UNKNOWN_ENTITY


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("Jean Paul Sartre", "Jean-Paul Sartre"), ("AT & T Inc", "AT&T Inc"), ("J.-P. Sartre", "Jean-Paul Sartre"),
        ("Programming, C++", "C++ Programming"), ("Microsfot C++ Compiler", "Microsoft C++ Compiler"),
        ("Rome: a history", "Rome - A History"), ("1914–18 War", "1914-18 War"), ("OBrien", "O'Brien"),
    ],
)  # fmt: skip
def test_punctuation_between_words_is_a_slip(kb: KnowledgeBase, asked: str, held: str) -> None:
    kb.add([(held, "Year", "1972")])
    assert kb.lookup(asked, "Year").values == ("1972",)


# Names stored before


def _before(place: Place, folder: Path) -> None:
    path = Path(place.address) if isinstance(place.address, Path) else folder / "before.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(BEFORE.read_text(encoding="utf-8"))
        connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 3")
    if path != place.address:
        place.open(create=True).close()
        with closing(SQLiteDatabase(path)) as old, closing(place.open()) as new:
            copy_database(old, new._database)


def test_names_stored_before_are_brought_into_form(place: Place, tmp_path: Path) -> None:
    _before(place, tmp_path)
    with place.open() as kb:
        assert kb.verify() == []
        held = {(fact.entity, fact.relation, fact.value): {source.document for source in fact.sources}
                for fact in kb.facts()}  # fmt: skip
        assert held == {
            ("Ada Example", "Birthplace", "London"): {"doc 1", "doc 2"},
            ("Ada Example", "Occupation", "doctor"): set(),
            ("Ada Example", "Email", "ada@example.org"): {"doc 3"},
            ("Zoë Roe", "Birthplace", "Paris"): set(),
            ("Acme Ltd", "Founder", "Ada\u200b Example"): set(),
        }
        for name in ("Ada Example ", "Adé", "Ade\u0301"):
            assert kb.lookup(name, "Email").found
        assert kb.at(1).lookup("Ada Example", "Occupation").values == ("nurse",)
        report = kb.add([("Ada\u200bExample", "Height", "170"), ("Acme Ltd", "Founder", "AE")])
        assert (len(report.refused), report.known) == (1, 1), "what was forgotten stays so, and values are one still"
        assert kb.forget(entity="Ada Example").clean
        assert {fact.entity for fact in kb.facts()} == {"Zoë Roe", "Acme Ltd"}
        assert kb.verify() == []
    with place.open() as kb:
        assert kb.verify() == []
