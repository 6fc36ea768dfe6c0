"""Resolution is honest: the fact asked for, or a status that says why not."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamlam.kb import KnowledgeBase, Source, Status
from lamlam.kb.matching.features import Evidence
from lamlam.kb.matching.matcher import default_matcher
from lamlam.kb.names import normalise
from lamlam.kb.similarity import name_similarity, relation_similarity
from places import Place

FACTS = [
    ("Marie Curie", "Birthplace", "Warsaw"),
    ("Marie Curie", "Field", "physics"),
    ("Elizabeth II", "reign start", "1952"),
    ("Elizabeth I", "reign start", "1558"),
    ("Elizabeth I", "reign end", "1603"),
    ("Georgia", "Capital", "Tbilisi"),
    ("GEORGIA", "Capital", "Atlanta"),
    ("Lake Superior", "Largest City", "Thunder Bay"),
    ("Zoë Łukasiewicz", "runway1Length", "30"),
]


@pytest.fixture
def kb(place: Place) -> Iterator[KnowledgeBase]:
    with place.fresh() as opened:
        opened.add(FACTS)
        yield opened


@pytest.mark.parametrize(
    ("entity", "relation", "status", "value"),
    [
        ("Marie Curie", "Birthplace", Status.EXACT, "Warsaw"),
        ("  marie_CURIE ", "birthplace", Status.EXACT, "Warsaw"),
        ("Ｍarie\u00a0Curie", "BIRTHPLACE", Status.EXACT, "Warsaw"),
        ("Marie Curie", "Place of Birth", Status.FUZZY, "Warsaw"),
        ("Marie Curie", "birthPlace", Status.EXACT, "Warsaw"),
        ("Marie Curie", "birth place", Status.FUZZY, "Warsaw"),
        ("Marie Curei", "Birthplace", Status.FUZZY, "Warsaw"),
        ("Zoe Lukasiewicz", "runway 1 length", Status.FUZZY, "30"),
        ("Georgia", "Capital", Status.EXACT, "Tbilisi"),
        ("GEORGIA", "Capital", Status.EXACT, "Atlanta"),
        ("Marie Curie", "Deathplace", Status.UNKNOWN_RELATION, ""),
        ("Marie Curie", "Spouse", Status.UNKNOWN_RELATION, ""),
        ("Marie Curie", "Former Field", Status.UNKNOWN_RELATION, ""),
        ("Elizabeth II", "reign end", Status.UNKNOWN_RELATION, ""),
        ("Elizabeth III", "reign start", Status.UNKNOWN_ENTITY, ""),
        ("Lake Superior", "Second Largest City", Status.UNKNOWN_RELATION, ""),
        ("Lake Superior", "Smallest City", Status.UNKNOWN_RELATION, ""),
        ("Zoë Łukasiewicz", "runway2Length", Status.UNKNOWN_RELATION, ""),
        ("Mary Curie", "Birthplace", Status.UNKNOWN_ENTITY, ""),
        ("Curie", "Birthplace", Status.UNKNOWN_ENTITY, ""),
        ("", "Birthplace", Status.UNKNOWN_ENTITY, ""),
        ("Marie Curie", "", Status.UNKNOWN_RELATION, ""),
    ],
)
def test_a_lookup_is_answered_rightly_or_not_at_all(
    kb: KnowledgeBase, entity: str, relation: str, status: Status, value: str
) -> None:
    found = kb.lookup(entity, relation)
    assert (found.status, found.text) == (status, value)
    assert found.found == (found.score > 0)


def test_a_name_of_two_entities_is_ambiguous_and_names_both(kb: KnowledgeBase) -> None:
    found = kb.lookup("georgia", "Capital")
    assert (found.status, found.candidates) == (Status.AMBIGUOUS, ("Georgia", "GEORGIA"))
    kb.alias("The Queen", entity="Elizabeth I")
    assert kb.lookup("the queen", "reign start").values == ("1558",)
    kb.alias("The Queen", entity="Elizabeth II")
    assert kb.lookup("The Queen", "reign start").status is Status.AMBIGUOUS


def test_a_relation_that_may_be_either_of_two_is_ambiguous(kb: KnowledgeBase) -> None:
    kb.add([("Atlas", "Award Name", "a"), ("Atlas", "Award Year", "b")])
    found = kb.lookup("Atlas", "Award")
    assert found.status is Status.AMBIGUOUS
    assert set(found.candidates) == {"Award Name", "Award Year"}


def test_many_lookups_are_the_single_ones_in_order(kb: KnowledgeBase) -> None:
    pairs = [("georgia", "Capital"), ("Marie Curie", "Field"), ("x", "y"), ("Marie Curie", "Field")]
    assert kb.lookup_many(pairs) == [kb.lookup(*pair) for pair in pairs]


def test_nearest_answers_where_lookup_does_not(kb: KnowledgeBase, place: Place) -> None:
    found = kb.nearest("Mary Curie", "Place of Death")
    assert (found.status, found.found) == (Status.FUZZY, True)
    with place.fresh() as empty:
        assert not empty.nearest("a", "b").found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_answer_is_another_entitys_or_an_unlike_relations(place: Place, data: st.DataObject) -> None:
    word = st.sampled_from(["Ada", "Adam", "Roe", "Row", "I", "II", "birth", "death", "place", "of", "1st", "2nd", "x"])
    name = st.lists(word, min_size=1, max_size=3).map(" ".join)
    facts = data.draw(st.lists(st.tuples(name, name, name), min_size=1, max_size=8))
    entity, relation = data.draw(name), data.draw(name)
    with place.fresh() as kb:
        kb.add(facts)
        found = kb.lookup(entity, relation)
        stated = set(facts)
    for fact in found.facts:
        assert (fact.entity, fact.relation, fact.value) in stated
        same = normalise(fact.entity) == normalise(entity)
        assert same or name_similarity(normalise(fact.entity), normalise(entity)) >= 0.9
        same = normalise(fact.relation) == normalise(relation)
        [meant] = default_matcher().likelihoods(relation, [(fact.relation, Evidence([fact.value]))])
        assert same or relation_similarity(fact.relation, relation) >= 0.85 or meant > 0, "a veto was passed over"
    exact = [value for e, r, value in dict.fromkeys(facts) if (e, r) == (entity, relation)]
    if exact:
        assert (found.status, list(found.values)) == (Status.EXACT, exact)


# What the engine asks


def test_names_in_a_text_are_those_of_one_entity(kb: KnowledgeBase) -> None:
    kb.alias("Curie", entity="Marie Curie")
    named = kb.entities_named(["marie curie", "Curie", "georgia", "Georgia", "nobody", ""])
    assert named == {"marie curie": "Marie Curie", "Curie": "Marie Curie", "Georgia": "Georgia"}


def test_names_by_their_beginning(kb: KnowledgeBase) -> None:
    kb.alias("Eliza", entity="Elizabeth I")
    assert kb.entities_starting("ELIZA", 10) == ["Eliza", "Elizabeth I", "Elizabeth II"]
    assert kb.entities_starting("elizabeth ", 1) == ["Elizabeth I"]
    assert kb.entities_starting("", 2) == ["Eliza", "Elizabeth I"]
    assert kb.entities_starting("q%", 10) == []


def test_an_entity_whose_facts_all_ended_can_still_be_named(kb: KnowledgeBase) -> None:
    for fact in list(kb.facts("Elizabeth II")):
        kb.retract(fact.id)
    assert kb.entities_named(["elizabeth ii"]) == {"elizabeth ii": "Elizabeth II"}
    assert kb.lookup("elizabeth ii", "reign start").status is Status.UNKNOWN_RELATION
    for fact in list(kb.facts("GEORGIA")):
        kb.retract(fact.id)
    assert kb.entities_named(["georgia", "GEORGIA"]) == {"georgia": "Georgia", "GEORGIA": "GEORGIA"}


def test_a_forgotten_entity_can_still_be_named(kb: KnowledgeBase) -> None:
    kb.alias("The Queen", entity="Elizabeth II")
    kb.forget(entity="Elizabeth II")
    named = kb.entities_named(["ELIZABETH II", "The Queen", "nobody", "Elizabeth I"])
    assert named == {"ELIZABETH II": "ELIZABETH II", "The Queen": "The Queen", "Elizabeth I": "Elizabeth I"}
    assert kb.lookup("The Queen", "reign start").status is Status.FORGOTTEN


def test_a_relation_that_is_gone_can_still_be_asked_for(kb: KnowledgeBase) -> None:
    both = ["reign start", "reign end"]
    assert kb.relations_of("elizabeth i") == both
    assert kb.relations_of("nobody") == []
    kb.edit(kb.lookup("Elizabeth I", "reign end").facts[0].id, value="24 March 1603")
    assert kb.relations_of("Elizabeth I") == both
    kb.retract(kb.lookup("Elizabeth I", "reign end").facts[0].id)
    assert kb.relations_of("Elizabeth I") == both
    assert kb.lookup("Elizabeth I", "reign end").status is Status.UNKNOWN_RELATION
    assert kb.at(1).relations_of("Elizabeth I") == both
    kb.add([("Georgia", "President", "x")])
    kb.retract(kb.lookup("Georgia", "President").facts[0].id)
    assert kb.relations_of("Georgia") == ["Capital", "President"]
    assert kb.at(1).relations_of("Georgia") == ["Capital"]


def test_a_forgotten_relation_is_told_among_those_that_are_left_under_any_name(kb: KnowledgeBase) -> None:
    """And no other: one that the entity never had would only lead astray."""
    kb.add([("Marie Curie", "Birth Place", "Warsaw"), ("Isaac Newton", "Field", "physics")])
    kb.alias("Madame Curie", entity="Marie Curie")
    before = kb.relations_of("Marie Curie")
    kb.forget(entity="Madame Curie", relation="Field")
    kb.alias("M. Curie", entity="Marie Curie")
    assert [kb.relations_of(name) for name in ("Marie Curie", "Madame Curie", "m. curie")] == [before] * 3
    assert kb.lookup("M. Curie", "Field").status is Status.FORGOTTEN
    assert "Field" in before
    assert "Capital" not in before


def test_no_relation_is_told_once_a_lost_one_has_no_name_any_more(kb: KnowledgeBase) -> None:
    """Whoever were kept to the others would be given one of their values in place of what was forgotten."""
    kb.add([("Marie Curie", "Nobel Year", "1903"), ("Bo", "Nobel Year", "1950"), ("Bo", "Capital", "x")])
    kb.forget(entity="Marie Curie", relation="Nobel Year")
    assert "Nobel Year" in kb.relations_of("Marie Curie")
    kb.forget(entity="Bo", relation="Nobel Year")
    assert kb.relations_of("Marie Curie") == kb.relations_of("Bo") == []
    kb.add([("Cy", "Capital", "x"), ("Cy", "Field", "y")])
    kb.forget(entity="Cy", relation="Field")
    assert set(kb.relations_of("Cy")) == {"Capital", "Field"}, "it has lost nothing but what can be named"


NAMES = st.sampled_from(
    ["Ada", "ada", "Ada Lovelace", "Adda Lovelace", "Åsa", "Birth Place", "Birthplace", "born in", "x"]
)


@settings(max_examples=40, deadline=None)
@given(
    facts=st.lists(st.tuples(NAMES, NAMES, NAMES), max_size=12), asked=st.lists(st.tuples(NAMES, NAMES), max_size=80)
)
def test_many_lookups_together_find_what_each_finds_alone(
    facts: list[tuple[str, str, str]], asked: list[tuple[str, str]]
) -> None:
    with KnowledgeBase.open(":memory:") as kb:
        kb.add(facts[:6], source=Source("one", 1, 2))
        kb.add(facts)
        kb.add(facts[:2], source=Source("two"))
        for fact in list(kb.facts())[:2]:
            kb.retract(fact.id)
        assert kb.lookup_many(asked) == [kb.lookup(*pair) for pair in asked]
        early = kb.at(1)
        assert early.lookup_many(asked) == [early.lookup(*pair) for pair in asked]


def test_relations_that_an_alias_leads_to_answer_together_once_they_are_aliases_of_each_other() -> None:
    names = ("Birthplace", "Birth Place", "Place of Birth")
    with KnowledgeBase.open(":memory:") as kb:
        kb.add([("Ada", names[0], "Rome"), ("Ada", names[1], "Lazio"), ("Bob", names[2], "Oslo")])
        kb.alias(names[1], relation=names[2])
        kb.alias(names[0], relation=names[2])
        assert kb.lookup("Ada", names[2]).status is Status.AMBIGUOUS
        kb.alias(names[0], relation=names[1])
        assert kb.lookup("Ada", names[2]).values == ("Rome", "Lazio")
