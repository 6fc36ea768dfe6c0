"""Knowledge that is added after training, asked of readers whose behaviour is known."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from fakes_evaluate import said
from lamlam.corpus import Corpus
from lamlam.engine.generation import Generation
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.auditing import OracleCaller
from lamlam.evaluate.results import Proportion, Result
from lamlam.evaluate.tasks.new_knowledge import (
    GROUPS,
    KNOWN,
    LETTERS,
    NEW,
    SEEN,
    NewFact,
    add_and_ask,
    by_group,
    new_facts,
)
from lamlam.kb.store import KnowledgeBase
from lamlam.world import World, WorldSettings

SETTINGS = DecodingSettings(max_tokens=8)
EACH = 30


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return World(WorldSettings(people=60, size="demo")).corpus()


@pytest.fixture
def kb(tmp_path: Path, corpus: Corpus) -> KnowledgeBase:
    kb = KnowledgeBase.open(tmp_path / "kb.sqlite", create=True)
    kb.add(corpus.facts)
    return kb


class Reader(OracleCaller):
    """Asks the right question always."""

    def __init__(self, kb: KnowledgeBase, facts: Sequence[NewFact]) -> None:
        super().__init__(kb, [fact.probe for fact in facts])
        self.probes = {fact.probe.prompt: fact.probe for fact in facts}


class Narrow(Reader):
    """Asks in relations that it has learnt, and in others only when calls are kept to those that there are."""

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        honest = super().generate(prompts, settings)
        learnt = (SEEN, LETTERS, *((NEW, KNOWN) if settings.relations == "known" else ()))
        return [
            each if self.probes[prompt].group in learnt else said(prompt, " er.")
            for prompt, each in zip(prompts, honest, strict=True)
        ]


class Garbling(Reader):
    """Asks rightly, and cannot copy what it is given."""

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        return [said(each.prompt, " er.", *each.lookups) for each in super().generate(prompts, settings)]


class Sometimes(Reader):
    rng = random.Random(0)

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        honest = super().generate(prompts, settings)
        return [each if self.rng.random() < 0.25 else said(each.prompt, " er.") for each in honest]


def measured(kind: type[Reader], kb: KnowledgeBase, corpus: Corpus) -> Result:
    facts = new_facts(kb, corpus, EACH, seed=0)
    return add_and_ask(kb, kind(kb, facts), facts, SETTINGS)


def values(result: Result, figure: str) -> list[float]:
    return [result.parts[group].proportions[figure].value for group in GROUPS]


def test_a_reader_knows_nothing_before_and_everything_after(kb: KnowledgeBase, corpus: Corpus) -> None:
    result = measured(Reader, kb, corpus)
    assert values(result, "before") == [0, 0, 0, 0]
    assert values(result, "after") == values(result, "after_known") == values(result, "returned") == [1, 1, 1, 1]
    assert [result.parts[group].proportions["after"].n for group in GROUPS] == [EACH] * 4


def test_what_is_asked_only_when_kept_to_it_is_told_apart(kb: KnowledgeBase, corpus: Corpus) -> None:
    result = measured(Narrow, kb, corpus)
    assert values(result, "after") == [1, 1, 0, 0]
    assert values(result, "after_known") == [1, 1, 1, 1]


def test_what_is_found_and_garbled_is_no_answer(kb: KnowledgeBase, corpus: Corpus) -> None:
    result = measured(Garbling, kb, corpus)
    assert (values(result, "after"), values(result, "returned")) == ([0] * 4, [1] * 4)
    example = result.figures()[SEEN]["examples"][0]
    assert (example["said"], example["status"]) == ("er.", "exact")


def test_what_is_right_at_random_is_right_as_often_as_chance_has_it(kb: KnowledgeBase, corpus: Corpus) -> None:
    rows = measured(Sometimes, kb, corpus).rows
    low, high = Proportion.of(row["added"].right for row in rows).interval
    assert low < 0.25 < high


def test_new_facts_are_new(kb: KnowledgeBase, corpus: Corpus) -> None:
    """No name of another world is known, and no relation of the groups that lack one in training stands in it."""
    trained = {call.relation for document in corpus.train for call in document.calls}
    text = " ".join(document.text for document in corpus.train)
    for fact in new_facts(kb, corpus, EACH, seed=0):
        probe = fact.probe
        assert not kb.lookup(probe.entity, probe.relation).found
        assert (probe.relation in trained) is (probe.group in (SEEN, LETTERS))
        assert bool(kb.entities_named([probe.entity])) is (probe.group == KNOWN)
        assert set(probe.entity + "".join(fact.values)) <= set(text) or probe.group != SEEN


def test_known_entities_are_given_what_suits_their_kind(kb: KnowledgeBase, corpus: Corpus) -> None:
    person = {"Alma Mater", "Residence", "Works Written", "Awards Received"}
    for fact in new_facts(kb, corpus, EACH, seed=0):
        if fact.probe.group == KNOWN and fact.probe.relation in person:
            assert "Birth Place" in kb.relations_of(fact.probe.entity)


def test_a_standard_model_has_only_a_before(kb: KnowledgeBase, corpus: Corpus) -> None:
    from lamlam.evaluate.completion import complete

    facts = new_facts(kb, corpus, 5, seed=0)
    result = by_group({"full": complete(Reader(kb, facts), [fact.probe for fact in facts], SETTINGS)})
    assert set(result.figures()[SEEN]) == {"before", "detail", "examples"}
