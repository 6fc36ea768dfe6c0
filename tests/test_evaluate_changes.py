"""Edits and forgetting, measured on models whose behaviour is known: honest, stale, inventive, clumsy."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from fakes_evaluate import probe, said
from lamlam.corpus import Probe
from lamlam.engine.generation import Generation, Lookup
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError, LamLamError
from lamlam.evaluate.completion import Row
from lamlam.evaluate.evaluation import scratch_copy
from lamlam.evaluate.results import Result
from lamlam.evaluate.tasks.facts import edit_facts, forget_facts
from lamlam.kb.database import connect
from lamlam.kb.files import copy_database
from lamlam.kb.store import KnowledgeBase
from places import Place

SETTINGS = DecodingSettings(max_tokens=8)
PROBES = [probe(number) for number in range(30)]


@pytest.fixture
def kb_path(tmp_path: Path) -> Path:
    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb.add([(p.entity, p.relation, p.answers[0]) for p in PROBES])
    return path


class Reader:
    """A model that asks the knowledge base for the probe's fact, and says `unknown` where there is none."""

    def __init__(self, kb: KnowledgeBase, probes: Sequence[Probe] = PROBES) -> None:
        self.kb = kb
        self.probes = {p.prompt: p for p in probes}

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        return [self.answer(self.probes[prompt]) for prompt in prompts]

    def answer(self, p: Probe) -> Generation:
        resolution = self.kb.lookup(p.entity, p.relation)
        value = resolution.text or "unknown"
        return said(p.prompt, f" {value}.", Lookup(p.entity, p.relation, resolution, value))


class Stale(Reader):
    """Has learnt every fact by heart and says it whatever the lookup returns."""

    def answer(self, p: Probe) -> Generation:
        return said(p.prompt, f" {p.answers[0]}.", *super().answer(p).lookups)


class Inventive(Reader):
    """Says another town where a fact is not to be found."""

    def answer(self, p: Probe) -> Generation:
        honest = super().answer(p)
        return honest if honest.lookups[0].resolution.found else said(p.prompt, " Town 1, or Town 2.", *honest.lookups)


class Asking(Reader):
    """Asks for somebody else's fact where its own is gone, and says nothing of it."""

    def answer(self, p: Probe) -> Generation:
        honest = super().answer(p)
        if honest.lookups[0].resolution.found:
            return honest
        other = next(iter(self.kb.facts()))
        found = self.kb.lookup(other.entity, other.relation)
        return said(p.prompt, " somewhere.", Lookup(other.entity, other.relation, found, found.text))


class Clumsy(Reader):
    """Gets confused about everything once anything has changed."""

    def __init__(self, kb: KnowledgeBase) -> None:
        super().__init__(kb)
        self.before = kb.digest()

    def answer(self, p: Probe) -> Generation:
        return super().answer(p) if self.kb.digest() == self.before else said(p.prompt, " er.")


def edited(result: Result) -> list[Row]:
    """The probes of edited facts."""
    return [row for row in result.rows if "reverted" in row]


def values(result: Result) -> tuple[float, ...]:
    """Success, locality and reverted; or survival, wrong answer and collateral."""
    return tuple(proportion.value for proportion in result.proportions.values())


def test_an_honest_reader_takes_every_edit_and_keeps_the_rest(kb_path: Path) -> None:
    result = edit_facts(Reader, kb_path, PROBES, SETTINGS, number=10)
    assert (result.more["facts"], result.proportions["success"].hits, result.proportions["success"].n) == (10, 10, 10)
    assert (result.proportions["locality"].hits, result.proportions["locality"].n) == (20, 20)
    assert result.proportions["reverted"].value == 1
    assert {row.about["new"] for row in edited(result)} <= {p.answers[0] for p in PROBES}
    assert all(row.about["new"] != row.about["old"] for row in edited(result))
    assert result.figures()["success"] == 1
    assert result.figures()["examples"][0]["after"] == f"{edited(result)[0].about['new']}."


def test_a_model_that_knows_by_heart_takes_no_edit(kb_path: Path) -> None:
    result = edit_facts(Stale, kb_path, PROBES, SETTINGS, number=10)
    assert values(result) == (0, 1, 1)


def test_an_edit_that_shakes_other_facts_has_no_locality(kb_path: Path) -> None:
    result = edit_facts(Clumsy, kb_path, PROBES, SETTINGS, number=5)
    assert (result.proportions["success"].value, result.proportions["locality"].value) == (0, 0)


def test_what_is_said_after_the_next_call_is_another_facts_matter(kb_path: Path) -> None:
    class Talkative(Reader):
        """Goes on to the town of the next person."""

        def answer(self, p: Probe) -> Generation:
            first = super().answer(p)
            other = PROBES[(PROBES.index(p) + 1) % len(PROBES)]
            more = super().answer(other)
            there = len(first.text)
            call = more.lookups[0]
            second = Lookup(call.entity, call.relation, call.resolution, call.value, start=there, end=there)
            return said(p.prompt, first.text + more.text, *first.lookups, second)

    assert edit_facts(Talkative, kb_path, PROBES, SETTINGS, number=10).proportions["locality"].value == 1


def test_the_users_knowledge_base_is_never_touched(kb_path: Path) -> None:
    before = kb_path.read_bytes()
    edit_facts(Reader, kb_path, PROBES, SETTINGS, number=5)
    forget_facts(Reader, kb_path, PROBES, SETTINGS, number=5)
    assert kb_path.read_bytes() == before


def test_a_knowledge_base_on_a_server_is_copied_into_a_file(make_place: Callable[[str], Place], kb_path: Path) -> None:
    place = make_place("postgres")
    with closing(connect(kb_path)) as source, closing(connect(place.address, create=True)) as target:
        copy_database(source, target)
    with scratch_copy(place.address) as copy:
        assert copy.path is not None
        copy.forget(1)
    with place.open() as kb, KnowledgeBase.open(kb_path) as original:
        assert (kb.digest(), len(kb.log())) == (original.digest(), 1)


def test_the_same_seed_chooses_the_same_facts(kb_path: Path) -> None:
    runs = [edited(edit_facts(Reader, kb_path, PROBES, SETTINGS, number=5, seed=seed)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_only_single_valued_facts_that_are_answered_right_are_edited(kb_path: Path) -> None:
    with KnowledgeBase.open(kb_path) as kb:
        for p in PROBES[:10]:
            kb.add([(p.entity, p.relation, "Elsewhere")])
    wrong = [probe(n, answers=("Nowhere",)) for n in range(10, 20)]
    probes = [*PROBES[:10], *wrong, *PROBES[20:]]
    result = edit_facts(Reader, kb_path, probes, SETTINGS, number=50)
    assert {row.probe.id for row in edited(result)} == {p.id for p in PROBES[20:]}


def test_nothing_to_edit_or_forget_is_said_so(kb_path: Path) -> None:
    wrong = [probe(n, answers=("Nowhere",)) for n in range(30)]
    with pytest.raises(LamLamError, match="no fact can be edited"):
        edit_facts(Reader, kb_path, wrong, SETTINGS)
    with pytest.raises(LamLamError, match="no fact can be forgotten"):
        forget_facts(Reader, kb_path, wrong, SETTINGS)


def test_an_honest_reader_forgets_for_good(kb_path: Path) -> None:
    result = forget_facts(Reader, kb_path, PROBES, SETTINGS, number=10)
    assert (result.proportions["survival"].hits, result.proportions["survival"].n) == (0, 10)
    assert (
        result.proportions["wrong_answer"].hits,
        result.proportions["collateral"].hits,
        result.proportions["collateral"].n,
    ) == (0, 0, 20)
    assert {row["forgotten"].status for row in result.rows if row.about} == {"forgotten"}


def test_a_model_that_knows_by_heart_does_not_forget(kb_path: Path) -> None:
    result = forget_facts(Stale, kb_path, PROBES, SETTINGS, number=10)
    assert (result.proportions["survival"].value, result.proportions["wrong_answer"].value) == (1, 0)


def test_another_value_of_the_relation_is_a_wrong_answer(kb_path: Path) -> None:
    result = forget_facts(Inventive, kb_path, PROBES, SETTINGS, number=10, seed=3)
    chosen = {row.probe.id for row in result.rows if row.about}
    assert not {"p1", "p2"} & chosen, "the town that it says must still be known, and not be the right one"
    assert (
        result.proportions["survival"].value,
        result.proportions["wrong_answer"].value,
        result.proportions["collateral"].value,
    ) == (0, 1, 0)


def test_a_call_that_finds_another_fact_is_a_wrong_answer(kb_path: Path) -> None:
    assert forget_facts(Asking, kb_path, PROBES, SETTINGS, number=10).proportions["wrong_answer"].value == 1


def test_other_facts_that_are_lost_are_collateral(kb_path: Path) -> None:
    result = forget_facts(Clumsy, kb_path, PROBES, SETTINGS, number=10)
    assert (result.proportions["collateral"].hits, result.proportions["collateral"].n) == (20, 20)


def test_a_copy_holds_what_is_written_and_not_yet_checkpointed(kb_path: Path) -> None:
    with KnowledgeBase.open(kb_path) as kb:
        kb.add([("Somebody", "Birth Place", "Somewhere")])
        with scratch_copy(kb_path) as copy:
            assert copy.lookup("Somebody", "Birth Place").values == ("Somewhere",)
            assert copy.digest() == kb.digest()


def test_a_missing_knowledge_base_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.sqlite"), scratch_copy(tmp_path / "gone.sqlite"):
        pass
