"""Undoing revisions, merging and splitting entities, values that are one: history stays, and leads through."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamlam.corpus import FactRecord
from lamlam.errors import InputError, LamLamError
from lamlam.kb import KnowledgeBase, Source, Status
from places import Place

FACTS = [
    FactRecord("Marie Curie", "Birthplace", "Warsaw", "doc 1", 0, 6),
    FactRecord("Marie Curie", "Field", "physics", "doc 1"),
    FactRecord("Maria Sklodowska", "Field", "physics", "doc 2"),
    FactRecord("Maria Sklodowska", "Prize", "Nobel", "doc 2", entity_aliases=("Manya",)),
    FactRecord("Poland", "Currency", "US Dollar", "doc 3"),
]


@pytest.fixture
def kb(place: Place) -> Iterator[KnowledgeBase]:
    with place.fresh() as opened:
        opened.add(FACTS)
        yield opened


def _values(kb: KnowledgeBase, entity: str, relation: str, revision: int | None = None) -> tuple[str, ...]:
    return (kb if revision is None else kb.at(revision)).lookup(entity, relation).values


# Undo


def test_undoing_an_edit_brings_the_old_value_back_with_its_sources(kb: KnowledgeBase) -> None:
    old = kb.lookup("Marie Curie", "Birthplace").facts[0]
    new = kb.edit(old.id, value="Paris")
    assert kb.undo(2, actor="ada", reason="a slip") == 2
    back = kb.lookup("Marie Curie", "Birthplace").facts[0]
    assert (back.value, back.sources, back.supersedes) == ("Warsaw", old.sources, new.id)
    assert [fact.id for fact in kb.history(back.id)] == [old.id, new.id, back.id]
    assert [_values(kb, "Marie Curie", "Birthplace", at) for at in (1, 2, 3)] == [("Warsaw",), ("Paris",), ("Warsaw",)]
    assert (kb.log()[-1].action, kb.log()[-1].actor, kb.log()[-1].reason) == ("undo", "ada", "a slip")
    assert kb.verify() == []


def test_undoing_a_retraction_states_the_fact_again(kb: KnowledgeBase) -> None:
    kb.retract(kb.lookup("Marie Curie", "Field").facts[0].id)
    assert kb.undo(2) == 1
    assert _values(kb, "Marie Curie", "Field") == ("physics",)
    assert _values(kb, "Marie Curie", "Field", 2) == ()
    kb.undo(3)
    assert _values(kb, "Marie Curie", "Field") == (), "an undo can be undone"


def test_undoing_takes_names_back(kb: KnowledgeBase) -> None:
    kb.alias("Madame Curie", entity="Marie Curie")
    kb.undo(2)
    assert kb.lookup("Madame Curie", "Field").status is Status.UNKNOWN_ENTITY
    assert kb.at(2).lookup("Madame Curie", "Field").status is Status.ALIAS
    kb.undo(3)
    assert kb.lookup("Madame Curie", "Field").status is Status.ALIAS
    assert kb.verify() == []


def test_an_addition_can_be_undone(kb: KnowledgeBase) -> None:
    kb.add([("A", "b", "c"), ("A", "b", "d")])
    assert kb.undo(2) == 2
    assert not kb.lookup("A", "b").found


def test_what_was_changed_since_must_be_undone_first(kb: KnowledgeBase) -> None:
    old = kb.lookup("Marie Curie", "Birthplace").facts[0]
    kb.edit(kb.edit(old.id, value="Paris").id, value="Rome")
    before = kb.digest()
    with pytest.raises(LamLamError, match="was changed by revision 3: undo that first"):
        kb.undo(2)
    assert kb.digest() == before
    kb.undo(3)
    kb.undo(4)
    kb.undo(5)
    assert _values(kb, "Marie Curie", "Birthplace") == ("Paris",)


def test_what_was_undone_stands_in_the_way_of_nothing(kb: KnowledgeBase) -> None:
    old = kb.lookup("Marie Curie", "Birthplace").facts[0]
    kb.edit(kb.edit(old.id, value="Paris").id, value="Rome")
    kb.undo(3)
    assert [entry.undoable for entry in kb.log_page()][2] is True
    kb.undo(2)
    assert _values(kb, "Marie Curie", "Birthplace") == ("Warsaw",)


def test_a_name_that_was_moved_or_brought_back_can_be_taken_away(kb: KnowledgeBase) -> None:
    kb.alias("Madame", entity="Maria Sklodowska")
    kb.undo(2)
    kb.undo(3)
    kb.merge("Maria Sklodowska", into="Marie Curie")
    kb.undo(2)
    assert kb.lookup("Madame", "Prize").status is Status.UNKNOWN_ENTITY


def test_what_was_forgotten_since_is_not_brought_back_under_another_name(kb: KnowledgeBase) -> None:
    kb.retract(kb.lookup("Maria Sklodowska", "Field").facts[0].id)
    kb.merge("Maria Sklodowska", into="Marie Curie")
    kb.forget(entity="Marie Curie", relation="Field")
    with pytest.raises(LamLamError, match="changed nothing"):
        kb.undo(2)


def test_what_cannot_be_undone_is_told(kb: KnowledgeBase) -> None:
    kb.forget(entity="Poland")
    with pytest.raises(LamLamError, match="cannot be brought back"):
        kb.undo(2)
    for revision in (0, 99):
        with pytest.raises(InputError, match=f"no revision {revision}"):
            kb.undo(revision)
    kb.add([("Marie Curie", "Field", "physics")])
    with pytest.raises(LamLamError, match="changed nothing"):
        kb.undo(3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_undoing_the_last_revision_restores_what_held_before(place: Place, data: st.DataObject) -> None:
    name = st.sampled_from(["A", "B", "C"])
    with place.fresh() as kb:
        kb.add(data.draw(st.lists(st.tuples(name, name, name), min_size=1, max_size=6)))
        for _ in range(data.draw(st.integers(1, 5))):
            before = {(fact.entity, fact.relation, fact.value) for fact in kb.facts()}
            aliases = set(kb.aliases())
            facts = list(kb.facts())
            match data.draw(st.sampled_from(["add", "edit", "retract", "alias"])):
                case "edit" if facts:
                    kb.edit(data.draw(st.sampled_from(facts)).id, value=data.draw(name))
                case "retract" if facts:
                    kb.retract(data.draw(st.sampled_from(facts)).id)
                case "alias" if facts:
                    kb.alias(data.draw(name), entity=data.draw(st.sampled_from(facts)).entity)
                case _:
                    kb.add([data.draw(st.tuples(name, name, name))])
            changed = before != {(f.entity, f.relation, f.value) for f in kb.facts()} or aliases != set(kb.aliases())
            if changed and data.draw(st.booleans()):
                kb.undo(kb.log()[-1].id)
                assert before == {(fact.entity, fact.relation, fact.value) for fact in kb.facts()}
                assert aliases == set(kb.aliases())
        assert kb.verify() == []


# Merging and splitting


def test_a_merged_entity_answers_under_both_names_with_all_facts(kb: KnowledgeBase) -> None:
    assert kb.merge("Maria Sklodowska", into="Marie Curie") == 2
    for name in ("Marie Curie", "Maria Sklodowska", "Manya"):
        assert _values(kb, name, "Prize") == ("Nobel",)
        assert _values(kb, name, "Birthplace") == ("Warsaw",)
    (field,) = kb.lookup("maria sklodowska", "Field").facts
    assert field.sources == (Source("doc 1"), Source("doc 2"))
    assert kb.lookup("Maria Sklodowska", "Prize").status is Status.ALIAS
    assert kb.entities_named(["Maria Sklodowska"]) == {"Maria Sklodowska": "Marie Curie"}
    assert kb.at(1).lookup("Maria Sklodowska", "Birthplace").status is Status.UNKNOWN_RELATION
    kb.add([("Maria Sklodowska", "Spouse", "Pierre Curie")])
    assert _values(kb, "Marie Curie", "Spouse") == ("Pierre Curie",)
    assert kb.verify() == []


def test_a_split_gives_each_its_own_facts_as_they_stand_now(kb: KnowledgeBase) -> None:
    kb.merge("Maria Sklodowska", into="Marie Curie")
    kb.edit(kb.lookup("Marie Curie", "Prize").facts[0].id, value="Nobel, twice")
    kb.add([("Marie Curie", "Spouse", "Pierre Curie")])
    assert kb.split("Maria Sklodowska") == 2
    assert _values(kb, "Maria Sklodowska", "Prize") == ("Nobel, twice",)
    assert _values(kb, "Manya", "Field") == ("physics",)
    assert not kb.lookup("Maria Sklodowska", "Spouse").found
    assert not kb.lookup("Maria Sklodowska", "Birthplace").found
    assert not kb.lookup("Marie Curie", "Prize").found
    assert _values(kb, "Marie Curie", "Field") == ("physics",)
    assert kb.verify() == []
    with pytest.raises(InputError, match="was not merged"):
        kb.split("Maria Sklodowska")


def test_a_merger_can_be_undone(kb: KnowledgeBase) -> None:
    before = {(fact.entity, fact.relation, fact.value) for fact in kb.facts()}, set(kb.aliases())
    kb.merge("Maria Sklodowska", into="Marie Curie")
    kb.undo(2)
    assert ({(fact.entity, fact.relation, fact.value) for fact in kb.facts()}, set(kb.aliases())) == before


@pytest.mark.parametrize("undone", ["split A", "split B", "undo 2", "undo 3"])
def test_each_of_two_mergers_can_be_taken_back_first(place: Place, undone: str) -> None:
    facts = {("A Corp", "Seat", "Rome"), ("B Corp", "Boss", "Ann"), ("C Corp", "Year", "1900")}
    with place.fresh() as kb:
        kb.add(sorted(facts))
        kb.merge("A Corp", into="B Corp")
        kb.merge("B Corp", into="C Corp")
        verb, which = undone.split()
        for number, name in ((2, "A"), (3, "B")) if which in "2A" else ((3, "B"), (2, "A")):
            kb.undo(number) if verb == "undo" else kb.split(f"{name} Corp")
        assert {(fact.entity, fact.relation, fact.value) for fact in kb.facts()} == facts
        assert list(kb.aliases()) == []
        assert kb.verify() == []


def test_a_fact_that_two_merged_entities_had_stays_with_the_one_that_is_left(place: Place) -> None:
    with place.fresh() as kb:
        kb.add([("A", "Field", "physics"), ("B", "Field", "physics"), ("C", "Year", "1900")])
        kb.merge("A", into="C")
        kb.merge("B", into="C")
        kb.split("A")
        assert _values(kb, "C", "Field") == _values(kb, "A", "Field") == ("physics",)
        kb.split("B")
        assert _values(kb, "C", "Field") == ()
        assert _values(kb, "B", "Field") == ("physics",)


def test_a_merger_must_not_bring_back_what_was_forgotten(kb: KnowledgeBase) -> None:
    kb.forget(entity="Marie Curie", relation="Field", value="physics")
    with pytest.raises(LamLamError, match="was forgotten of 'Marie Curie'"):
        kb.merge("Maria Sklodowska", into="Marie Curie")
    assert _values(kb, "Maria Sklodowska", "Field") == ("physics",)


def test_forgetting_reaches_what_a_merger_left_behind(kb: KnowledgeBase) -> None:
    kb.merge("Maria Sklodowska", into="Marie Curie")
    kb.forget(entity="Marie Curie", relation="Prize")
    assert not kb.at(1).lookup("Maria Sklodowska", "Prize").found
    assert kb.lookup("Maria Sklodowska", "Prize").status is Status.FORGOTTEN


@pytest.mark.parametrize(("name", "into", "told"), [("X", "Poland", "no entity 'X'"), ("Poland", "Poland", "already")])
def test_a_merger_needs_two_entities(kb: KnowledgeBase, name: str, into: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        kb.merge(name, into=into)


# Values that are one


def test_one_value_under_two_names_is_one_fact(kb: KnowledgeBase) -> None:
    assert kb.alias("USD", value="US Dollar")
    assert not kb.alias("us dollar", value="usd"), "they are one already"
    report = kb.add([FactRecord("Poland", "Currency", "USD", "doc 4")])
    assert (report.added, report.known) == (0, 1)
    (fact,) = kb.lookup("Poland", "Currency").facts
    assert (fact.value, fact.sources) == ("US Dollar", (Source("doc 3"), Source("doc 4")))
    kb.alias("US$", value="USD")
    kb.alias("American dollar", value="Greenback")
    kb.alias("Greenback", value="US$")
    assert kb.add([("Poland", "Currency", "american dollar")]).known == 1
    kb.undo(kb.log()[-2].id)
    assert kb.add([("Poland", "Currency", "Greenback")]).added == 1


def test_a_value_is_forgotten_under_all_its_names(kb: KnowledgeBase) -> None:
    kb.add([("Ecuador", "Currency", "USD")])
    kb.alias("USD", value="US Dollar")
    kb.forget(entity="Poland", relation="Currency", value="usd")
    assert kb.lookup("Poland", "Currency").status is Status.FORGOTTEN
    refused = kb.add([("Poland", "Currency", "USD"), ("Poland", "Currency", "US Dollar")]).refused
    assert len(refused) == 2
    assert kb.forget(value="US Dollar").clean
    assert not kb.lookup("Ecuador", "Currency").found


# Any sequence of changes


def _state(kb: KnowledgeBase) -> tuple[set, set]:
    """All that holds: facts, and names, values and relations that are one."""
    links = {
        (table, *row)
        for table, columns in (("value_alias", "norm, target"), ("inverse", "relation, other"))
        for row in kb._database.rows(f"SELECT {columns} FROM {table} WHERE until = 0")
    }
    named = kb._database.rows(
        "SELECT 'entity', a.name, e.name FROM entity_alias a JOIN entity e ON e.id = a.target WHERE a.until = 0 "
        "UNION SELECT 'relation', a.name, r.name FROM relation_alias a JOIN relation r ON r.id = a.target "
        "WHERE a.until = 0"
    )
    return {(fact.entity, fact.relation, fact.value) for fact in kb.facts()}, links | {tuple(row) for row in named}


SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
ENTITIES, RELATIONS, VALUES = ["A", "B", "C", "D"], ["r", "s"], ["v", "w", "x"]


def _change(kb: KnowledgeBase, data: st.DataObject) -> None:
    """One change, of a kind and of things that are drawn."""

    def pick(choices: list) -> Any:
        return data.draw(st.sampled_from(choices))

    held = list(kb.facts())
    match pick(["add", "edit", "retract", "alias", "value", "inverse", "merge", "merge", "split", "undo", "undo"]):
        case "add":
            kb.add([(pick(ENTITIES), pick(RELATIONS), pick(VALUES)) for _ in range(pick([1, 2]))])
        case "edit" if held:
            kb.edit(pick(held).id, value=pick(VALUES))
        case "retract" if held:
            kb.retract(pick(held).id)
        case "alias":
            kb.alias(pick(["X", *ENTITIES]), entity=pick(ENTITIES))
        case "value":
            kb.alias(pick(VALUES), value=pick(VALUES))
        case "inverse":
            kb.inverse(pick(RELATIONS), pick(RELATIONS))
        case "merge":
            kb.merge(pick(ENTITIES), into=pick(ENTITIES))
        case "split":
            kb.split(pick(ENTITIES))
        case "undo":
            kb.undo(data.draw(st.integers(1, kb.revision)))


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_any_changes_are_taken_back_to_any_revision_from_the_latest_on(place: Place, data: st.DataObject) -> None:
    with place.fresh() as kb:
        kb.add([(entity, relation, "v") for entity in ENTITIES for relation in RELATIONS[:1]])
        states = [({}, {}), _state(kb)]
        for _ in range(data.draw(st.integers(1, 12))):
            with suppress(LamLamError):
                _change(kb, data)
            states += [_state(kb)] * (kb.revision + 1 - len(states))
        last, back_to = kb.revision, data.draw(st.integers(1, kb.revision))
        for revision in range(last, back_to, -1):
            if states[revision - 1] != _state(kb):
                kb.undo(revision)
            assert _state(kb) == states[revision - 1], revision
        assert kb.verify() == []


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_mergers_are_taken_back_in_any_order(place: Place, data: st.DataObject) -> None:
    proposition = st.tuples(st.sampled_from(ENTITIES), st.just("r"), st.sampled_from(VALUES))
    facts = data.draw(st.lists(proposition, max_size=8))
    with place.fresh() as kb:
        kb.add([*((entity, "name", entity) for entity in ENTITIES), *facts])
        kb.alias("X", entity="A")
        before, left = _state(kb), list(ENTITIES)
        mergers: dict[str, int] = {}
        while len(left) > 1 and data.draw(st.booleans()):
            gone = left.pop(data.draw(st.integers(0, len(left) - 1)))
            kb.merge(gone, into=data.draw(st.sampled_from(left)))
            mergers[gone] = kb.revision
        for gone in data.draw(st.permutations(list(mergers))):
            if data.draw(st.booleans()):
                kb.split(gone)
            else:
                kb.undo(mergers[gone])
            assert {fact.value for fact in kb.facts() if fact.relation == "name"} == set(ENTITIES)
        assert _state(kb) == before
        assert kb.verify() == []
