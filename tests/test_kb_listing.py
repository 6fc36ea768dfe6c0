"""Facts and the log in pages, and what is listed of entities and relations; in both databases."""

from collections.abc import Iterator

import pytest

from lamlam.corpus import FactRecord
from lamlam.kb import Fact, KnowledgeBase
from places import Place

FACTS = [
    FactRecord("Ada Lovelace", "Field", "Mathematics", "doc 1", 0, 5),
    FactRecord("Ada Lovelace", "Birthplace", "London", "doc 1"),
    FactRecord("Alan Turing", "Field", "mathematical_LOGIC", "doc 2"),
    FactRecord("Alan Turing", "Birthplace", "Maida Vale, London", "doc 2"),
    FactRecord("Alan Turing", "Birthplace", "Straße", "doc 3"),
    FactRecord("Emmy Noether", "Field", "algebra"),
]


@pytest.fixture
def kb(place: Place) -> Iterator[KnowledgeBase]:
    with place.fresh() as opened:
        opened.add(FACTS)
        yield opened


def _ids(kb: KnowledgeBase, **wanted: str | int) -> list[int]:
    return [fact.id for fact in kb.page(**wanted).facts]  # type: ignore[arg-type]


def _all(kb: KnowledgeBase, limit: int, **wanted: str) -> tuple[list[Fact], int]:
    """All facts of all pages, and how many pages there were."""
    facts, after, pages = list[Fact](), 0, 0
    while after is not None:
        page = kb.page(**wanted, after=after, limit=limit)  # type: ignore[arg-type]
        assert len(page.facts) <= limit
        assert page.next is None or page.next > after
        facts += page.facts
        after, pages = page.next, pages + 1
    return facts, pages


# Facts


def test_a_page_has_the_facts_that_hold_with_all_that_is_known_of_them(kb: KnowledgeBase) -> None:
    kb.edit(2, value="Piccadilly")
    kb.retract(6)
    page = kb.page()
    assert page.facts == tuple(kb.facts())
    assert [fact.id for fact in page.facts] == [1, 3, 4, 5, 7]
    assert page.facts[0].sources[0].document == "doc 1"
    assert page.next is None


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({"entity": "Ada Lovelace"}, [1, 2]),
        ({"entity": "ada_lovelace"}, [1, 2]),
        ({"entity": "The Countess"}, [1, 2]),
        ({"entity": "Adda Lovelace"}, []),
        ({"relation": "field"}, [1, 3, 6]),
        ({"relation": "Subject"}, [1, 3, 6]),
        ({"relation": "Spouse"}, []),
        ({"entity": "Alan Turing", "relation": "Birthplace"}, [4, 5]),
        ({"source": "doc 2"}, [3, 4]),
        ({"source": "doc 9"}, []),
        ({"source": "doc 2", "relation": "Field"}, [3]),
        ({"text": "london"}, [2, 4]),
        ({"text": "STRASSE"}, [5]),
        ({"text": "mathematical logic"}, [3]),
        ({"text": "  "}, [1, 2, 3, 4, 5, 6]),
        ({"text": "%"}, []),
        ({"text": "london", "entity": "Alan Turing"}, [4]),
        ({"text": "london", "source": "doc 1"}, [2]),
        ({"after": 4}, [5, 6]),
        ({"after": 2**63 - 1}, []),
    ],
)
def test_facts_are_filtered(kb: KnowledgeBase, wanted: dict[str, str | int], ids: list[int]) -> None:
    kb.alias("The Countess", entity="Ada Lovelace")
    kb.alias("Subject", relation="Field")
    assert _ids(kb, **wanted) == ids


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("wanted", [{}, {"relation": "Field"}, {"text": "a"}, {"entity": "Alan Turing"},
                                    {"source": "doc 1"}, {"relation": "Born"}])  # fmt: skip
def test_pages_have_every_fact_once(kb: KnowledgeBase, limit: int, wanted: dict[str, str]) -> None:
    kb.add([("Zoe", "Born", "at night"), ("Zoe", "Field", "astronomy")])
    kb.alias("Born", relation="Birthplace")
    found, pages = _all(kb, limit, **wanted)
    assert [fact.id for fact in found] == _ids(kb, **wanted, limit=500)
    assert pages == max(1, -(-len(found) // limit)), "the last page knows that it is the last"


def test_a_document_that_states_much_is_read_in_another_way_to_the_same_end(
    kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [_ids(kb, source=f"doc {number}") for number in range(1, 4)]
    monkeypatch.setattr("lamlam.kb.reader._STATED_BY_MANY", 1)
    assert [_ids(kb, source=f"doc {number}") for number in range(1, 4)] == few == [[1, 2], [3, 4], [5]]
    assert _all(kb, 1, source="doc 2")[0] == list(kb.page(source="doc 2").facts)


def test_a_search_for_a_text_looks_at_so_many_values_and_says_where_to_go_on(
    kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamlam.kb.view._STEP", 2)
    monkeypatch.setattr("lamlam.kb.view._LOOKED_AT", 4)
    asked = list[str]()
    rows = kb._database.rows
    monkeypatch.setattr(kb._database, "rows", lambda sql, *rest: asked.append(sql) or rows(sql, *rest))
    page = kb.page(text="algebra")
    assert (page.facts, page.next) == ((), 4)
    assert sum("f.value FROM fact f WHERE" in sql for sql in asked) == 2
    page = kb.page(text="algebra", after=4)
    assert ([fact.id for fact in page.facts], page.next) == ([6], None)
    assert kb.page(text="algebra", after=6) == kb.page(after=6)
    assert [fact.id for fact in _all(kb, 1, text="london")[0]] == [2, 4]


def test_a_page_can_be_of_a_former_revision(kb: KnowledgeBase) -> None:
    kb.edit(2, value="Piccadilly")
    assert [fact.value for fact in kb.at(1).page(entity="Ada Lovelace").facts] == ["Mathematics", "London"]
    assert [fact.value for fact in kb.page(entity="Ada Lovelace").facts] == ["Mathematics", "Piccadilly"]
    kb.add([("Ada Lovelace", "Birthplace", "Piccadilly")])
    assert _ids(kb.at(2), source="doc 1") == [1]


# Names


def test_names_and_aliases_that_begin_so_are_told_with_their_entities(kb: KnowledgeBase) -> None:
    kb.alias("Al", entity="Alan Turing")
    kb.alias("Al", entity="Ada Lovelace")
    assert kb.names_starting("a") == [
        ("Ada Lovelace", "Ada Lovelace"),
        ("Al", "Ada Lovelace"),
        ("Al", "Alan Turing"),
        ("Alan Turing", "Alan Turing"),
    ]
    assert kb.entities_starting("a") == ["Ada Lovelace", "Al", "Alan Turing"]
    assert kb.entities_starting("al", 1) == ["Al"]
    assert len(kb.names_starting("a", 2)) == 2


def test_an_entitys_aliases_are_told_under_any_of_its_names(kb: KnowledgeBase) -> None:
    kb.alias("The Countess", entity="Ada Lovelace")
    kb.alias("Ada King", entity="Ada Lovelace")
    for name in ("Ada Lovelace", "the countess"):
        assert kb.aliases_of(name) == [("The Countess", 2), ("Ada King", 3)]
    kb.undo(2)
    assert kb.aliases_of("Ada Lovelace") == [("Ada King", 3)]
    assert kb.aliases_of("Nobody") == []
    assert kb.at(2).aliases_of("Ada Lovelace") == [("The Countess", 2)]


def test_relations_are_counted_by_what_holds(kb: KnowledgeBase) -> None:
    assert kb.relation_counts() == [("Birthplace", 3), ("Field", 3)]
    kb.edit(1, value="poetry")
    kb.retract(2)
    assert kb.relation_counts() == [("Field", 3), ("Birthplace", 2)]
    kb.retract(4)
    kb.retract(5)
    assert kb.relation_counts() == [("Field", 3)]


# The log


def _change(kb: KnowledgeBase) -> None:
    """Revisions of every kind: 2 to 11."""
    kb.edit(1, value="poetry", actor="grace", reason="she said so")
    kb.retract(2)
    with kb.transaction("bob"):
        kb.edit(3, value="logic")
        kb.add([("Zoe", "Field", "law"), ("Zoe", "Birthplace", "Hel")])
    kb.alias("Zo", entity="Zoe")
    kb.add([("Zoe", "Field", "law")])
    kb.undo(3)
    kb.forget(6)
    kb.add(("Many", "number", str(number)) for number in range(60))
    kb.merge("Zoe", into="Ada Lovelace")
    kb.inverse("Field", "Birthplace")


def test_pages_of_the_log_are_the_whole_log(kb: KnowledgeBase) -> None:
    _change(kb)
    whole = kb.log()[::-1]
    for limit in (1, 3, 50):
        found, before = list[object](), None
        while page := kb.log_page(before, limit):
            assert len(page) <= limit
            found += [(each.id, each.time, each.actor, each.action, each.reason, each.began, each.ended)
                      for each in page]  # fmt: skip
            before = page[-1].id
        told = [(each.id, each.time, each.actor, each.action, each.reason, each.began, each.ended) for each in whole]
        assert found == told
    assert kb.log_page(0) == kb.log_page(1) == []
    assert [each.id for each in kb.log_page(2**63 - 1, 2)] == [11, 10]


def test_the_log_says_what_can_be_undone(kb: KnowledgeBase) -> None:
    _change(kb)
    told = {each.id: each.undoable for each in kb.log_page()}
    assert told[8] is False, "what was forgotten cannot be brought back"
    assert told[1] is False, "its facts were changed since"
    assert told[4] is True, "a merger moved one of its facts, which still says the same"
    can = dict[int, bool]()
    for revision in told:
        with kb._database.transaction():
            kb._database.run("SAVEPOINT tried")
            try:
                can[revision] = kb.undo(revision) > 0
            except Exception:  # noqa: BLE001
                can[revision] = False
            kb._database.run("ROLLBACK TO tried")
    wrong = {revision for revision in told if told[revision] != can[revision]}
    assert wrong == set()


def test_a_revisions_facts_are_those_that_began_and_those_that_ended(kb: KnowledgeBase) -> None:
    _change(kb)
    began, ended = kb.changes_of(4)
    assert [(fact.value, fact.supersedes) for fact in began] == [("logic", 3), ("law", None), ("Hel", None)]
    assert [(fact.id, fact.until) for fact in ended] == [(3, 4)]
    assert kb.changes_of(5) == kb.changes_of(8) == kb.changes_of(99) == ([], [])
    began, _ = kb.changes_of(9, limit=7)
    assert [fact.value for fact in began] == [str(number) for number in range(7)]
