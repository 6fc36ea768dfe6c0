"""Edits by CounterFact's measures, on models whose behaviour is known: honest, learnt by heart, narrow, shaken."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fakes_evaluate import said
from lamlam.engine.generation import Generation
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.evaluation import NothingToChange
from lamlam.evaluate.plans import Distractors, EditPlan
from lamlam.evaluate.results import Result
from lamlam.evaluate.tasks.counterfact import combined, counterfact
from lamlam.kb.fact import Fact
from lamlam.kb.store import KnowledgeBase
from lamlam.world import World, WorldSettings
from lamlam.world.wordings import answers_of, prompts, question

SETTINGS = DecodingSettings(max_tokens=8)
FACTS = World(WorldSettings(people=40, size="demo", seed=5)).corpus().facts


@pytest.fixture
def kb_path(tmp_path: Path) -> Path:
    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb.add(FACTS)
    return path


class Reader:
    """Understands every wording by the last sentence of a prompt, and says what the knowledge base has."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self.kb = kb
        self.queries = {
            prompt: (number, fact.entity, fact.relation)
            for fact in FACTS
            for number, prompt in enumerate(prompts(fact.entity, fact.relation))
        }

    def generate(self, asked: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        return [said(prompt, f" {self.answer(*self.queries[prompt.rpartition('. ')[2]])}.") for prompt in asked]

    def answer(self, wording: int, entity: str, relation: str) -> str:
        return self.kb.lookup(entity, relation).text or "unknown"


class ByHeart(Reader):
    """Says what was true when it was made."""

    def __init__(self, kb: KnowledgeBase) -> None:
        super().__init__(kb)
        self.learnt = {(fact.entity, fact.relation): fact.value for fact in kb.facts()}

    def answer(self, wording: int, entity: str, relation: str) -> str:
        return self.learnt[entity, relation]


class Narrow(ByHeart):
    """Asks the knowledge base in the first three wordings of five only."""

    def answer(self, wording: int, entity: str, relation: str) -> str:
        teller = Reader if wording < 3 else ByHeart
        return teller.answer(self, wording, entity, relation)


class Shaken(ByHeart):
    """Takes every edit, and errs about all that was not edited."""

    def __init__(self, kb: KnowledgeBase) -> None:
        super().__init__(kb)
        self.whole = kb.digest()

    def answer(self, wording: int, entity: str, relation: str) -> str:
        now = self.kb.lookup(entity, relation).text
        edited = now != self.learnt[entity, relation]
        return now if edited or self.kb.digest() == self.whole else "er"


class Never(Reader):
    def answer(self, wording: int, entity: str, relation: str) -> str:
        return "er"


class Sometimes(ByHeart):
    """Takes a third of the edits, and a third of each wording."""

    rng = random.Random(0)

    def answer(self, wording: int, entity: str, relation: str) -> str:
        teller = Reader if self.rng.random() < 1 / 3 else ByHeart
        return teller.answer(self, wording, entity, relation)


def measured(reader: Callable[[KnowledgeBase], Reader], kb_path: Path) -> dict[str, Result]:
    return counterfact(reader, kb_path, SETTINGS, sizes=(10, 1000), single=8, asked=60, seed=1)


def values(result: dict[str, Result], step: str) -> dict[str, float]:
    return {name: share.value for name, share in result[step].proportions.items()}


def test_an_honest_reader_takes_edits_one_by_one_and_in_sequence(kb_path: Path) -> None:
    result = measured(Reader, kb_path)
    for step in ("edits_1", "edits_10", "edits_1000"):
        assert values(result, step) == {
            "before": 1,
            "efficacy": 1,
            "stale": 0,
            "generalisation": 1,
            "specificity": 1,
            "consequence": 1,
            "consequence_in_text": 1,
        }
    assert [step.proportions["efficacy"].n for step in result.values()] == [8, 10, 60]
    figures = combined(result).figures()
    assert (figures["edits_10"]["edits"], figures["edits_10"]["efficacy"]) == (10, 1)
    assert figures["edits_1000"]["edits"] < 1000, "there are not as many facts, and that is said"
    assert [step["edits"] for step in figures["steps"]] == [1, 10, figures["edits_1000"]["edits"]]


def test_a_model_that_knows_by_heart_takes_none(kb_path: Path) -> None:
    found = values(measured(ByHeart, kb_path), "edits_10")
    assert (found["efficacy"], found["stale"], found["generalisation"], found["consequence"]) == (0, 1, 0, 0)
    assert found["specificity"] == 1


def test_a_model_that_never_answers_keeps_even_its_silence(kb_path: Path) -> None:
    found = values(measured(Never, kb_path), "edits_10")
    assert (found["before"], found["efficacy"], found["stale"], found["specificity"]) == (0, 0, 0, 1)


def test_wordings_are_told_apart(kb_path: Path) -> None:
    by_wording = measured(Narrow, kb_path)["edits_1000"].more["generalisation_by_wording"]
    assert {number: share["share"] for number, share in by_wording.items()} == {"1": 1, "2": 1, "3": 1, "4": 0, "5": 0}


def test_what_is_taken_at_random_is_taken_as_often_as_chance_has_it(kb_path: Path) -> None:
    share = measured(Sometimes, kb_path)["edits_1000"].proportions["generalisation"]
    low, high = share.interval
    assert low < 1 / 3 < high


def test_others_are_compared_with_before_the_first_edit_and_not_with_half_way(kb_path: Path) -> None:
    """A model that is shaken by the first edit stays as it is after the second, and is caught all the same."""
    result = measured(Shaken, kb_path)
    for step in ("edits_1", "edits_10", "edits_1000"):
        found = values(result, step)
        assert (found["efficacy"], found["specificity"]) == (1, 0)


def test_single_edits_are_taken_back_and_the_users_file_is_left_alone(kb_path: Path) -> None:
    before = kb_path.read_bytes()

    class Watching(Reader):
        def generate(self, asked: Sequence[str], settings: DecodingSettings) -> list[Generation]:
            states.append({(fact.entity, fact.relation, fact.value) for fact in self.kb.facts()})
            return super().generate(asked, settings)

    states: list[set[tuple[str, str, str]]] = []
    counterfact(Watching, kb_path, SETTINGS, sizes=(5,), single=5, asked=1)
    assert {len(state - states[0]) for state in states} == {0, 1, 5}, "one at a time, and then all"
    assert kb_path.read_bytes() == before


def test_neighbours_are_never_edited_and_share_the_old_value_where_one_does(kb_path: Path) -> None:
    with KnowledgeBase.open(kb_path) as kb:
        plan = EditPlan(kb, 1000, seed=0)
        edited = {(edit.fact.entity, edit.fact.relation) for edit in plan.edits}
        for each in plan.sample(plan.edits, 50):
            assert all((near.entity, near.relation) not in edited for near in each.neighbours)
            assert len({near.answers for near in each.neighbours} & {(each.edit.fact.value,)}) <= 1
            assert all(near.relation == each.edit.fact.relation for near in each.neighbours)


def test_facts_without_a_wording_cannot_be_asked_about(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        kb.add([("Oslo", "Twin Town", "Gent")])
    with pytest.raises(NothingToChange):
        counterfact(Reader, tmp_path / "kb.sqlite", SETTINGS)


def test_a_rival_is_never_taken_for_the_value_itself(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        kb.add([("A", "Year", "1990"), ("B", "Year", "1,990"), ("C", "Year", "1990 AD"), ("D", "Year", "2001")])
        fact = next(iter(kb.facts()))
        assert {Distractors(kb).of(fact, random.Random(seed)) for seed in range(20)} == {"2001"}
        assert Distractors(kb).of(Fact(9, "E", "Year", "1990"), random.Random(0)) == "2001"


def test_questions_stop_before_the_value_in_every_wording() -> None:
    assert prompts("James", "Employer")[:2] == ["James works for", "James' employer is"]
    assert prompts("James", "Twin Town") == []
    asked = question("Ada", "Languages Spoken", ["A", "B"], 7)
    assert (asked.prompt, asked.answers) == ("Ada can converse in", ("A, B", "A", "B"))
    assert answers_of(["A"]) == ("A",)
