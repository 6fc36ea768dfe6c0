"""Reworded relations and misspelt entities: what is matched, what is not, and what stays open."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lamlam.errors import InputError, LamLamError
from lamlam.kb import KnowledgeBase, Status
from lamlam.kb.matching.features import FEATURES, Evidence, features, kind_of_value, parse
from lamlam.kb.matching.matcher import Matcher, MatchSettings, decide, default_matcher
from lamlam.kb.matching.mining import Meaning, Mine, read_rewordings
from lamlam.kb.matching.training import train_on
from lamlam.kb.similarity import name_similarity

FACTS = [
    ("Marie Curie", "Birthplace", "Warsaw"),
    ("Marie Curie", "Birth Date", "7 November 1867"),
    ("Marie Curie", "Occupation", "physicist"),
    ("Marie Curie", "Death Date", "4 July 1934"),
    ("Acme", "Founded In", "1921"),
    ("Acme", "Headquarters", "Oslo"),
    ("Acme", "Percentage 2006", "12%"),
    ("Lake", "Largest City", "Thunder Bay"),
    ("Line", "Previous Station", "Harwell"),
    ("Ada Roe", "Tenure Start", "1990"),
]


@pytest.fixture
def kb() -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(":memory:") as opened:
        opened.add(FACTS)
        yield opened


@pytest.mark.parametrize(
    ("entity", "relation", "value"),
    [
        ("Marie Curie", "Date of Birth", "7 November 1867"),
        ("Marie Curie", "Place of Birth", "Warsaw"),
        ("Marie Curie", "Profession", "physicist"),
        ("Marie Curie", "Died on", "4 July 1934"),
        ("Acme", "Year of establishment", "1921"),
        ("Acme", "Headquartered in", "Oslo"),
    ],
)
def test_a_reworded_relation_is_found(kb: KnowledgeBase, entity: str, relation: str, value: str) -> None:
    found = kb.lookup(entity, relation)
    assert (found.status, found.text) == (Status.FUZZY, value)
    assert 0 < found.score <= 1


@pytest.mark.parametrize(
    ("entity", "relation"),
    [
        ("Acme", "Percentage 2007"),
        ("Acme", "Founded By"),
        ("Ada Roe", "Tenure End"),
        ("Lake", "Second Largest City"),
        ("Line", "Next Station"),
        ("Marie Curie", "Place of Death"),
        ("Marie Curie", "Spouse"),
        ("Acme", "Former Headquarters"),
    ],
)
def test_what_differs_in_a_telling_word_is_not_answered(kb: KnowledgeBase, entity: str, relation: str) -> None:
    found = kb.lookup(entity, relation)
    assert found.status in (Status.UNKNOWN_RELATION, Status.AMBIGUOUS)
    assert not found.found


def test_a_retracted_relation_is_not_answered_by_its_like(kb: KnowledgeBase) -> None:
    kb.add([("Marie Curie", "Vocation", "teacher")])
    kb.retract(kb.lookup("Marie Curie", "Occupation").facts[0].id)
    assert kb.lookup("Marie Curie", "Occupation").status is Status.UNKNOWN_RELATION
    assert kb.lookup("Marie Curie", "Vocation").values == ("teacher",)


def test_two_relations_that_may_be_meant_stay_open_unless_they_agree(kb: KnowledgeBase) -> None:
    kb.add([("Ann", "Occupation", "baker"), ("Ann", "Job", "singer")])
    found = kb.lookup("Ann", "Profession")
    assert (found.status, set(found.candidates)) == (Status.AMBIGUOUS, {"Occupation", "Job"})
    kb.add([("Ben", "Occupation", "baker"), ("Ben", "Job", "Baker")])
    assert kb.lookup("Ben", "Profession").text.casefold() == "baker"


def test_relations_that_were_seen_to_differ_are_two_and_those_that_agree_are_one() -> None:
    with KnowledgeBase.open(":memory:") as kb:
        kb.add((f"p{i}", relation, f"{relation}{i}") for i in range(8) for relation in ("Job", "Profession"))
        kb.add((f"q{i}", relation, f"v{i}") for i in range(8) for relation in ("Blurb", "Quux"))
        kb.add([("Ann", "Job", "baker"), ("Cy", "Quux", "w")])
        assert kb.lookup("Ann", "Profession").found
        assert not kb.lookup("Cy", "Blurb").found
        assert kb.learn() == 2
        assert not kb.lookup("Ann", "Profession").found
        assert kb.lookup("Cy", "Blurb").values == ("w",)
        assert kb.verify() == []


def test_what_was_learnt_of_an_erased_relation_goes_with_it() -> None:
    with KnowledgeBase.open(":memory:") as kb:
        kb.add((f"q{i}", relation, f"v{i}") for i in range(8) for relation in ("Blurb", "Quux", "Zed"))
        kb.learn()
        kb.forget(relation="Blurb")
        left = {row[0] for row in kb._database.rows("SELECT a FROM relation_pair UNION SELECT b FROM relation_pair")}
        assert left == {row[0] for row in kb._database.rows("SELECT id FROM relation")}


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("curie, marie", "marie curie"),
        ("curie marie", "marie curie"),
        ("m. curie", "marie curie"),
        ("the marie curie", "marie curie"),
        ("márie curie", "marie curie"),
        ("marie cuire", "marie curie"),
        ("marie curiie", "marie curie"),
        ("saragossa manuscript, the", "the saragossa manuscript"),
        ("j. r. r. tolkien", "john ronald reuel tolkien"),
    ],
)
def test_a_miswritten_name_is_the_name(asked: str, held: str) -> None:
    assert name_similarity(asked, held) >= MatchSettings().entity


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("mary curie", "marie curie"),
        ("pierre curie", "marie curie"),
        ("elizabeth iii", "elizabeth ii"),
        ("erich clapton", "eric clapton"),
        ("marie curie jr", "marie curie"),
        ("north carolina", "south carolina"),
        ("a320", "a330"),
        ("marie curie", "m. curie"),
        ("iran", "iraq"),
    ],
)
def test_a_name_of_someone_else_is_not(asked: str, held: str) -> None:
    assert name_similarity(asked, held) < MatchSettings().entity


def test_an_initial_that_two_share_is_open() -> None:
    with KnowledgeBase.open(":memory:") as kb:
        kb.add([("Marie Curie", "Field", "physics"), ("Pierre Curie", "Field", "crystals")])
        assert kb.lookup("M. Curie", "Field").values == ("physics",)
        kb.add([("Marcel Curie", "Field", "law")])
        found = kb.lookup("M. Curie", "Field")
        assert (found.status, set(found.candidates)) == (Status.AMBIGUOUS, {"Marie Curie", "Marcel Curie"})


# The parts


@pytest.mark.parametrize(
    ("relation", "core", "wants"),
    [
        ("Birthplace", ("birth",), {"place"}),
        ("Year of Birth", ("birth",), {"date"}),
        ("Founded By", ("found",), {"person"}),
        ("Number of Lakes", ("lake",), {"number"}),
        ("", (), set()),
    ],
)
def test_a_name_is_taken_apart(relation: str, core: tuple[str, ...], wants: set[str]) -> None:
    phrase = parse(relation)
    assert (phrase.core, set(phrase.wants)) == (core, wants)


def test_values_have_kinds() -> None:
    kinds = {"1867": "year", "7 November 1867": "date", "12%": "number", "three": "number", "Warsaw": "name"}
    assert {value: kind_of_value(value) for value in kinds} == kinds


def test_more_in_common_never_makes_two_names_less_alike() -> None:
    matcher, rng = default_matcher(), np.random.default_rng(0)
    rows = rng.random((200, len(FEATURES)))
    for name in ("core_overlap", "near_asked", "value_fits"):
        more = rows.copy()
        more[:, FEATURES.index(name)] += 0.3
        assert (matcher.predict(more) >= matcher.predict(rows) - 1e-12).all()


def test_a_decision_is_one_several_or_none() -> None:
    settings = MatchSettings(relation=0.5, relation_margin=0.1, relation_doubt=0.2)
    assert decide([], lambda a, b: True, settings) == ([], False)
    assert decide([0.1, 0.05], lambda a, b: False, settings) == ([], False)
    assert decide([0.3, 0.05], lambda a, b: False, settings) == ([0], False)
    assert decide([0.2, 0.9], lambda a, b: False, settings) == ([1], True)
    assert decide([0.85, 0.9], lambda a, b: False, settings) == ([1, 0], False)
    assert decide([0.85, 0.9], lambda a, b: True, settings) == ([1, 0], True)


@pytest.mark.parametrize("wrong", [{"relation": 1.5}, {"entity": "x"}, {"relation_margin": True}])
def test_settings_name_the_field_that_is_wrong(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        MatchSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        MatchSettings.from_json(json.dumps(wrong))
    assert MatchSettings.from_json(MatchSettings(relation=0.4).as_json()).relation == 0.4


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"features": [], "trees": [], "bias": 0}', "null"])
def test_a_file_that_is_no_classifier_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"m\.json.*not a classifier"):
        Matcher.load(tmp_path / "m.json")


def test_a_classifier_that_would_turn_in_circles_is_refused(tmp_path: Path) -> None:
    tree = [[0, 0.5, 0, 0, 0.0]]
    (tmp_path / "m.json").write_text(json.dumps({"features": FEATURES, "bias": 0, "trees": [tree]}), encoding="utf-8")
    with pytest.raises(InputError):
        Matcher.load(tmp_path / "m.json")


def test_rewordings_are_read_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_text("# a remark\n\ndate: Born In | birth  year\nJob | Trade\n", encoding="utf-8")
    assert read_rewordings(path) == [Meaning(("born in", "birth year"), "date"), Meaning(("job", "trade"))]
    for bad in ("alone", "colour: a | b", "a | A"):
        path.write_text(f"x | y\n{bad}\n", encoding="utf-8")
        with pytest.raises(InputError, match=":2"):
            read_rewordings(path)


def test_no_question_without_an_answer_has_one(kb: KnowledgeBase) -> None:
    kb.add([("Marie Curie", "Trade", "physicist"), ("Marie Curie", "Born", "in Warsaw")])
    facts = sorted(kb.facts(), key=lambda fact: fact.entity)
    questions = list(Mine(facts, [Meaning(("occupation", "profession"))]).questions())
    assert {question.kind for question in questions} >= {"hidden", "foreign", "altered", "reworded", "rearranged"}
    hidden = {(q.entity, q.asked) for q in questions if q.kind == "hidden"}
    assert not hidden & {("Marie Curie", "Trade"), ("Marie Curie", "Occupation"), ("Marie Curie", "Birthplace")}
    for question in questions:
        names = [name for name, _ in question.held]
        assert question.asked not in names
        assert (question.meant is None) == (question.kind in ("hidden", "foreign", "altered"))


def test_training_writes_a_classifier_that_tells_apart_what_it_was_shown(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    with KnowledgeBase.open(":memory:") as kb:
        relations = ("Birth Year", "Death Year", "Home Town", "Award Name", "Team Colour")
        kb.add((f"e{i}", relation, f"{relation} {i}") for i in range(40) for relation in relations)
        assert train_on(kb, tmp_path / "m.json") > 200
        with KnowledgeBase.open(":memory:") as empty, pytest.raises(LamLamError):
            train_on(empty, tmp_path / "n.json")
    matcher = Matcher.load(tmp_path / "m.json")
    held = [("Birth Year", Evidence(["1867"])), ("Team Colour", Evidence(["red"]))]
    same, other = matcher.likelihoods("Year of Birth", held)
    assert same > other
    assert not (tmp_path / "n.json").exists()


def test_features_have_a_number_for_each_name() -> None:
    row = features("Date of Birth", "Birth Date", Evidence(["7 November 1867"], ["1 May 1900"]))
    assert len(row) == len(FEATURES)
    assert all(np.isfinite(row))
    assert len(features("", "", Evidence())) == len(FEATURES)


def test_an_exact_lookup_loads_nothing_of_the_matcher(tmp_path: Path) -> None:
    code = (
        "import sys; from lamlam.kb import KnowledgeBase\n"
        "kb = KnowledgeBase.open(':memory:'); kb.add([('a', 'Birth Year', 'c')])\n"
        "assert kb.lookup('a', 'Birth Year').found\n"
        "assert not any(name.startswith('lamlam.kb.matching') for name in sys.modules)\n"
        "assert kb.lookup('a', 'Year of Birth').found and not kb.lookup('a', 'zzz').found\n"
        "assert 'torch' not in sys.modules\n"
        "assert 'lamlam.kb.matching.matcher' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
