"""Erasing a person: what else tells of them is listed with the reason, can be included, and what is left is told."""

from collections.abc import Iterator

import pytest

from lamlam.corpus import FactRecord
from lamlam.errors import InputError
from lamlam.kb import Certificate, KnowledgeBase, Status
from lamlam.kb.traces import INCLUDABLE, names_it, skeleton
from places import Place

ADA = "Ada Example"
FACTS = [
    FactRecord(ADA, "Birthplace", "London", "register"),
    FactRecord("Acme Ltd", "Founder", "Ada Example", "register"),
    FactRecord("Acme Ltd", "Director", "ada\u00a0\u200bexample"),
    FactRecord("Acme Ltd", "Secretary", "A. Example-Roe"),
    FactRecord("ADA EXAMPLE", "Email", "ada@example.org"),
    FactRecord("\u0410da Ex\u0430mple", "Height", "170"),
    FactRecord("Acme Ltd", "History", "Begun by Ada Example and her brother"),
    FactRecord("Acme Ltd", "Seat", "Leeds", "people/ada_example.html"),
    FactRecord("Acme Ltd", "Seat of old", "York", "people/ada_example.html"),
    FactRecord("Acme Ltd", "Seat of old", "York", "register"),
    FactRecord("Ada Exampel", "Height", "171"),
    FactRecord("Acme Ltd", "Product", "Ada Examples"),
    FactRecord("Ada", "Kind", "language"),
]
WHY = {
    "Founder": "names it as its value",
    "Director": "names it as its value",
    "Secretary": "names it as its value",
    "Email": "is of an entity whose name looks the same",
    "Height": "is of an entity whose name looks the same",
    "History": "mentions it in its value",
    "Seat": "was read in a document named after it",
    "Seat of old": "was read in a document named after it",
}
KINDS = {"values": 3, "lookalikes": 2, "documents": 2, "mentions": 1}


@pytest.fixture
def kb(place: Place) -> Iterator[KnowledgeBase]:
    with place.open(create=True) as opened:
        opened.add(FACTS)
        opened.alias("A. Example-Roe", entity=ADA)
        yield opened


def _left(kb: KnowledgeBase, certificate: Certificate) -> dict[str, str]:
    reasons = dict(zip(certificate.related, certificate.related_reasons, strict=True))
    return {kb.fact(number).relation: reason for number, reason in reasons.items() if kb.fact(number).value != "171"}


def test_a_dry_run_lists_all_that_tells_of_a_person_and_why(kb: KnowledgeBase) -> None:
    planned = kb.forget(entity=ADA, dry_run=True)
    assert planned.facts == (1,)
    assert _left(kb, planned) == WHY
    assert planned.left == {
        "names it as its value": 3,
        "is of an entity whose name looks the same": 2,
        "mentions it in its value": 1,
        "was read in a document named after it": 2,
        "is of an entity whose name is spelled nearly the same": 1,
    }


def test_the_certificate_says_what_was_left_and_why_and_names_nobody(kb: KnowledgeBase) -> None:
    certificate = kb.forget(entity=ADA)
    assert _left(kb, certificate) == WHY
    assert certificate.as_json()["left"]["names it as its value"] == 3
    assert certificate.as_json()["included"] == []
    assert "xample" not in str(certificate.as_json())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_can_be_included(kb: KnowledgeBase, kind: str) -> None:
    certificate = kb.forget(entity=ADA, include=[kind])
    why = INCLUDABLE[kind]
    assert (certificate.included, certificate.clean) == ((kind,), True)
    erased = KINDS[kind] - (kind == "documents")  # what another document states as well loses the source only
    assert list(certificate.reasons).count(why) == erased
    assert why not in certificate.left
    assert sum(certificate.left.values()) == 9 - KINDS[kind]
    assert kb.verify() == []


def test_with_all_included_no_file_holds_the_name(kb: KnowledgeBase, place: Place) -> None:
    kb.alias("Lady Example", value=ADA)
    kb.forget(entity=ADA, include=list(KINDS))
    kb.forget(entity="Ada Exampel")
    kb.retract(next(fact.id for fact in kb.facts() if fact.value == "Ada Examples"))
    kb.forget(value="Ada Examples")
    assert place.left("Ada Ex", "ada_ex", "Example-Roe", "Lady Ex", "\u0410da", "ada@") == set()
    assert kb.lookup("Acme Ltd", "Founder").status is Status.FORGOTTEN
    assert [fact.relation for fact in kb.facts()] == ["Seat of old", "Kind"]
    again = [("Acme Ltd", "Founder", "A. Example-Roe"), FactRecord("x", "y", "z", "people/ada_example.html")]
    assert len(kb.add(again).refused) == 2


def test_names_that_mergers_and_undone_aliases_left_go_with_the_person(place: Place) -> None:
    with place.open(create=True) as kb:
        kb.add([("Bo Sample", "Height", "170"), ("Cy Other", "Height", "171")])
        kb.alias("Boey", value="Bo Sample")
        kb.undo(2)
        kb.merge("Bo Sample", into="Cy Other")
        kb.split("Bo Sample")
        assert kb.forget(entity="Bo Sample").clean
        assert place.left("Bo Sample", "Boey") == set()
        assert kb.at(4).lookup("Cy Other", "Height").values == ("171",)
        assert kb.verify() == []


def test_someone_of_whom_nothing_is_stated_is_found_in_values(kb: KnowledgeBase) -> None:
    kb.add([("Acme Ltd", "Treasurer", "Bo Sample")])
    with pytest.raises(InputError, match=r"no entity 'Bo Sample', but facts of others mention it \(1\)"):
        kb.forget(entity="Bo Sample")
    assert kb.forget(entity="Bo Sample", include=["values"]).erased["fact"] == 1
    assert kb.lookup("Acme Ltd", "Treasurer").status is Status.FORGOTTEN


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"entity": ADA, "include": ["everything"]}, "unknown kind 'everything'; use values, lookalikes"),
        ({"entity": ADA, "relation": "Birthplace", "include": ["values"]}, "all of the entity"),
        ({"fact_id": 1, "include": ["values"]}, "all of the entity"),
        ({"entity": "Nobody"}, "no entity 'Nobody'"),
    ],
)
def test_what_cannot_be_included_is_told(kb: KnowledgeBase, asked: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        kb.forget(**asked)
    assert kb.stats().facts == 12


def test_what_looks_the_same() -> None:
    assert skeleton("\u0410\u0421\u041c\u0415") == skeleton("ACME") == skeleton("acme")
    assert skeleton("B0b l") == skeleton("Bob I")
    assert skeleton("Ada") != skeleton("Adá")
    assert names_it("people/ada-example_2.txt", "Ada Example")
    assert not names_it("people/ada-examples.txt", "Ada Example")
    assert not names_it("c.txt", "C")
