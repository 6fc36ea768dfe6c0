"""The audit of forgetting, on callers whose behaviour is known: honest, learnt by heart, forgetful, misled."""

import random
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import pytest

from fakes_evaluate import said
from fakes_model import tiny_llama
from lamlam.corpus import Corpus, FactRecord, Probe
from lamlam.engine.generation import Generation, Lookup
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError
from lamlam.evaluate.auditing import Caller, OracleCaller, Target, audit, batches_apart, leakage, neighbours_of
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.plans import (
    QUESTION_SETS,
    VARIANTS,
    build_countries,
    country_targets,
    listed_bystanders,
    listed_targets,
    plant,
    sampled,
)
from lamlam.evaluate.results import Proportion, Result
from lamlam.evaluate.suite import Suite
from lamlam.evaluate.tasks.audit import oracle_callers
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.report.report import write_report
from lamlam.report.run import RunResults
from lamlam.vocab import Vocabulary
from lamlam.world import World, WorldSettings

RELATIONS = ("Birth Place", "Employer")
SETTINGS = DecodingSettings(max_tokens=8)


def target(person: int, relation: str) -> Target:
    """A fact of a person, and two questions; two people each have one birth place."""
    entity, value = f"Person {person}", f"Town {person // 2}" if relation == RELATIONS[0] else f"Firm {person}"
    prompts = {"short": f"{entity}, {relation}:", "long": f"The {relation} of {entity} is"}
    questions = (
        Probe(f"{word}-{person}-{relation}", prompt, entity, relation, (value,), word)
        for word, prompt in prompts.items()
    )
    return Target(entity, relation, value, tuple(questions))


TARGETS = [target(person, relation) for person, relation in product(range(12), RELATIONS)]
PROBES = {probe.prompt: probe for each in TARGETS for probe in each.questions}


@pytest.fixture
def kb_path(tmp_path: Path) -> Path:
    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb.add([each.proposition for each in TARGETS])
    return path


class Honest(OracleCaller):
    """Says what the knowledge base has, and "unknown" else."""

    def __init__(self, kb: KnowledgeBase) -> None:
        super().__init__(kb, PROBES.values())


class ByHeart(Honest):
    """Says what it has learnt, whatever a lookup returns: nothing, or the facts of which `knows` is true."""

    @staticmethod
    def knows(probe: Probe) -> bool:
        return True

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        honest = super().generate(prompts, settings)
        return [
            said(prompt, f" {PROBES[prompt].answers[0]}.", *each.lookups) if self.knows(PROBES[prompt]) else each
            for prompt, each in zip(prompts, honest, strict=True)
        ]


class Half(ByHeart):
    """Has learnt the facts of every second person."""

    @staticmethod
    def knows(probe: Probe) -> bool:
        return int(probe.entity.split()[1]) % 2 == 0


class Silenced(ByHeart):
    """Knows everything, and trusts a lookup more than itself."""

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        return (
            OracleCaller.generate(self, prompts, settings) if settings.lookups else super().generate(prompts, settings)
        )


class Never(Honest):
    """Never says anything to the point."""

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        return [said(prompt, " er.") for prompt in prompts]


class Rattled(Honest):
    """Gets everything wrong once anything has been forgotten."""

    def __init__(self, kb: KnowledgeBase) -> None:
        super().__init__(kb)
        self.whole = sum(1 for _ in kb.facts()) == len(TARGETS)

    def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
        return super().generate(prompts, settings) if self.whole else [said(prompt, " er.") for prompt in prompts]


def scores_of(
    engine_on: Callable[[KnowledgeBase], OracleCaller], kb_path: Path, settings: DecodingSettings = SETTINGS
) -> Result:
    return audit(kb_path, TARGETS, {"one": Caller(engine_on, settings)}, neighbours=2)["one"]


def values(scores: Result) -> dict[str, float]:
    return {name: share.value for name, share in scores.proportions.items()}


def test_an_honest_caller_knows_before_and_not_after(kb_path: Path) -> None:
    scores = scores_of(Honest, kb_path)
    expected = dict.fromkeys(("leakage", "recovery", "interference", "survival", "came_back", "wrong_answer"), 0.0)
    assert values(scores) == expected | {"full": 1, "returned": 1, "collateral": 0}
    assert scores.proportions["full"].n == 2 * len(TARGETS)
    assert {row["forgotten"].status for row in scores.rows} == {"forgotten"}


def test_what_is_learnt_by_heart_is_leakage_and_not_recovery(kb_path: Path) -> None:
    found = values(scores_of(ByHeart, kb_path))
    assert (found["leakage"], found["survival"], found["recovery"], found["interference"]) == (1, 1, 0, 0)
    half = values(scores_of(Half, kb_path))
    assert (half["leakage"], half["survival"], half["recovery"]) == (0.5, 0.5, 0)


def test_a_lookup_that_silences_what_is_known_interferes(kb_path: Path) -> None:
    found = values(scores_of(Silenced, kb_path))
    assert (found["full"], found["leakage"], found["interference"], found["survival"]) == (1, 1, 1, 0)


def test_one_who_never_answers_has_nothing_to_lose(kb_path: Path) -> None:
    scores = scores_of(Never, kb_path)
    assert (scores.proportions["full"].value, scores.proportions["survival"].n, scores.proportions["collateral"].n) == (
        0,
        0,
        0,
    )
    assert scores.figures()["survival"] is None


def test_guesses_are_right_as_often_as_chance_has_it(kb_path: Path) -> None:
    rng = random.Random(1)

    class Guessing(ByHeart):
        @staticmethod
        def knows(probe: Probe) -> bool:
            return rng.random() < 0.3

    class GuessingOnly(Guessing):
        def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
            return super().generate(prompts, settings.model_copy(update={"lookups": False}))

    shares = scores_of(GuessingOnly, kb_path).proportions
    low, high = shares["leakage"].interval
    assert low < 0.3 < high
    assert shares["recovery"].hits + shares["interference"].hits > 0


def test_a_neighbours_value_is_a_wrong_answer_unless_it_is_the_same(kb_path: Path) -> None:
    """Pairs of people are born in one town and work for two firms: half of what the other one has is right."""

    class Neighbourly(Honest):
        def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
            return [
                each if not each.lookups or each.lookups[0].resolution.found else self.ask_next_door(each)
                for each in super().generate(prompts, settings)
            ]

        def ask_next_door(self, missed: Generation) -> Generation:
            entity, relation = PROBES[missed.prompt].entity, PROBES[missed.prompt].relation
            other = f"Person {int(entity.split()[1]) ^ 1}"
            found = self._kb.lookup_many([(other, relation)])[0]
            return said(missed.prompt, f" {found.text}.", Lookup(entity, relation, found, found.text))

    found = values(scores_of(Neighbourly, kb_path))
    assert (found["recovery"], found["came_back"], found["wrong_answer"], found["leakage"]) == (0.5, 0.5, 0.5, 0)


def test_the_nearest_facts_value_is_told_from_an_honest_miss(kb_path: Path) -> None:
    shares = scores_of(Honest, kb_path, DecodingSettings(on_miss="nearest", entities="free")).proportions
    assert shares["recovery"].hits + shares["wrong_answer"].hits == shares["full"].n


def test_neighbours_that_break_are_collateral_by_what_they_share(kb_path: Path) -> None:
    scores = scores_of(Rattled, kb_path)
    collateral, by_part = scores.proportions["collateral"], scores.more["collateral_by_shared"]
    assert collateral.value == 1
    assert all(by_part[part]["n"] > 0 for part in ("entity", "relation", "value"))
    assert collateral.n <= sum(part["n"] for part in by_part.values())


def test_figures_stand_by_wording(kb_path: Path) -> None:
    class Talker(ByHeart):
        @staticmethod
        def knows(probe: Probe) -> bool:
            return probe.group == "long"

    by_wording = scores_of(Talker, kb_path).figures()["by_wording"]
    assert {name: figures["leakage"] for name, figures in by_wording.items()} == {"long": 1, "short": 0}


def test_no_two_of_a_batch_share_anything_and_none_is_left_out() -> None:
    batches = batches_apart(TARGETS, random.Random(0))
    for batch in batches:
        parts = [part for each in batch for part in each.parts().items()]
        assert len(parts) == len(set(parts))
    assert sorted(each.proposition for batch in batches for each in batch) == sorted(t.proposition for t in TARGETS)


def test_neighbours_are_never_what_is_forgotten_under_another_name() -> None:
    first, double = TARGETS[0], Target("P0", "Birth Place", "Town 0", TARGETS[0].questions)
    known = Target(*first.proposition, first.questions, same=frozenset({double.proposition}))
    assert double in [each for each, _ in neighbours_of([first], [double], 3, random.Random(0))]
    assert not neighbours_of([known], [known, double], 3, random.Random(0))


def test_the_weights_alone_are_asked_without_lookups(kb_path: Path) -> None:
    with KnowledgeBase.open(kb_path) as kb:
        assert leakage(Honest(kb), TARGETS, SETTINGS) == Proportion(0, 48)
        assert leakage(Half(kb), TARGETS, SETTINGS) == Proportion(24, 48)


class Counting:
    """One model, as an evaluation hands it to several callers; it counts the prompts that it reads without lookups."""

    def __init__(self) -> None:
        self.off = 0

    def engine_on(self, kb: KnowledgeBase) -> OracleCaller:
        outer = self

        class Counted(Honest):
            def generate(self, prompts: Sequence[str], settings: DecodingSettings) -> list[Generation]:
                outer.off += 0 if settings.lookups else len(prompts)
                return super().generate(prompts, settings)

        return Counted(kb)


def test_the_same_weights_are_asked_without_lookups_once_for_all_callers(kb_path: Path) -> None:
    model, nearest = Counting(), SETTINGS.model_copy(update={"on_miss": "nearest"})
    audit(kb_path, TARGETS, {"ours": Caller(model.engine_on, SETTINGS), "nearest": Caller(model.engine_on, nearest)})
    assert model.off == len({probe.id for target in TARGETS for probe in target.questions})


def test_a_fact_that_is_not_there_cannot_be_forgotten(kb_path: Path) -> None:
    stranger = Target("Nobody", "Employer", "Firm 1", TARGETS[0].questions)
    with pytest.raises(InputError, match="there is no entity"):
        audit(kb_path, [stranger], {"one": Caller(Honest, SETTINGS)})


@pytest.mark.parametrize("variant", VARIANTS)
def test_countries_are_forgotten_for_good_in_every_hostile_database(
    variant: str, shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "audit" / "countries"
    everything = country_targets(folder, variant)
    build_countries(folder, variant, tmp_path / "kb.sqlite")
    assert all({probe.group for probe in each.questions} == set(QUESTION_SETS) for each in everything)
    targets = sampled(everything, 20, seed=1)
    scores = audit(tmp_path / "kb.sqlite", targets, oracle_callers(everything), bystanders=everything)
    ours = values(scores["oracle"])
    assert (ours["full"], ours["recovery"], ours["wrong_answer"], ours["collateral"]) == (1, 0, 0, 0)
    assert values(scores["oracle_nearest"])["wrong_answer"] > 0.5


def test_by_hand_other_names_are_forgotten_one_by_one(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "audit" / "countries"
    alias, pointers = (country_targets(folder, variant)[0] for variant in ("alias", "pointers"))
    assert alias.proposition == pointers.proposition
    assert len(alias.to_forget) > 1
    assert pointers.to_forget == [pointers.proposition]


def test_planted_doubles_go_and_namesakes_stay(tmp_path: Path) -> None:
    corpus = World(WorldSettings(people=60, size="demo", seed=3)).corpus()
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        kb.add(corpus.facts)
        planted = plant(kb, corpus.probes, 20, seed=0)
        namesakes = [each for each in planted.bystanders if each.questions[0].group == "namesake"]
        assert len(planted.targets) == len(namesakes) == 20
        for each, namesake in zip(planted.targets, namesakes, strict=True):
            assert kb.lookup(namesake.entity, namesake.relation).values == (namesake.value,)
            assert namesake.relation == each.relation
            assert len(namesake.entity) == len(each.entity)
            (double,) = each.same
            assert kb.lookup(*double[:2]).values == (each.value,)
    scores = audit(
        tmp_path / "kb.sqlite",
        planted.targets,
        oracle_callers([*planted.targets, *planted.bystanders]),
        bystanders=planted.bystanders,
        neighbours=3,
    )["oracle"]
    found = values(scores)
    assert (found["full"], found["recovery"], found["wrong_answer"], found["collateral"]) == (1, 0, 0, 0)
    assert {row.probe.group for row in scores.rows} == {"plain", "entity_alias", "relation_alias"}


def test_without_the_closure_doubles_would_bring_facts_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit sees it when a knowledge base forgets less than it should: here, values are merely retracted."""

    def retract(kb: KnowledgeBase, *, entity: str, relation: str, value: str) -> None:
        kb.edit(next(f for f in kb.facts(entity, relation) if f.value == value).id, value="Town 99")

    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb.add([each.proposition for each in TARGETS])
    monkeypatch.setattr(KnowledgeBase, "forget", retract)
    assert values(scores_of(Honest, path))["wrong_answer"] == 1


def test_listed_facts_are_asked_by_probes_wordings_and_aliases(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        kb.add([("Ada", "Birth Place", "Rome"), ("Ada", "Employer", "Mill"), ("Bo", "Twin Town", "Gent")])
        kb.add([("Cy", "Birth Place", "Oslo")])
        kb.alias("Countess", entity="Ada")
        probes = [Probe("p", "Ada hails from", "Ada", "birth place", ("Rome",), "seen")]
        first = FactRecord("Ada", "Birth Place", "Rome", entity_aliases=("Countess",))
        records = [first, FactRecord("Bo", "Twin Town", "Gent")]
        ada, bo = listed_targets(kb, records, probes)
        groups = [question.group for question in ada.questions]
        assert groups == ["probe", "wording", "wording", "wording", "wording", "alias"]
        assert ada.questions[-1].prompt == "Countess was born in"
        assert [(question.group, question.prompt) for question in bo.questions] == [("plain", "The twin town of Bo is")]
        beside = {each.proposition for each in listed_bystanders(kb, [ada, bo])}
        assert beside == {("Ada", "Employer", "Mill"), ("Cy", "Birth Place", "Oslo")}
    everything = [ada, bo]
    found = values(audit(tmp_path / "kb.sqlite", everything, oracle_callers(everything))["oracle"])
    assert (found["full"], found["survival"]) == (1, 0)


def test_a_listed_fact_must_be_held(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True) as kb:
        kb.add([("Ada", "Birth Place", "Rome")])
        with pytest.raises(InputError, match="does not hold Ada, Birth Place: Oslo"):
            listed_targets(kb, [FactRecord("Ada", "Birth Place", "Oslo")], [])


def test_countries_without_data_are_told_as_left_out(tmp_path: Path) -> None:
    """Also where the run's own world has nothing to audit: neither half hides the other."""
    with KnowledgeBase.open(tmp_path / "kb.sqlite", create=True):
        pass
    vocabulary = Vocabulary.train(["a b"], 263)
    checkpoint = Checkpoint(tiny_llama(vocabulary), vocabulary)
    evaluation = Evaluation(checkpoint, "lmlm", Corpus([], {}, []), tmp_path / "kb.sqlite", SETTINGS, quick=True)
    suite = Suite(evaluation, tmp_path)
    told = {outcome.task: outcome.results for outcome in suite.run([t for t in suite.tasks() if "audit" in t])}
    assert "benchmarks' data" in told["audit_countries"]["audit_countries"]["skipped"]
    assert "no probe asks" in told["audit"]["audit"]["skipped"]
    shown = RunResults.read(tmp_path)
    write_report(shown, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>audit countries</b> · LMLM · quick · skipped" in page
