"""TOFU: each formula on small numbers, respondents with known figures, unlearning, and the whole task at tiny size."""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from fakes_evaluate import said
from lamlam.annotate.questions import QuestionAnnotator
from lamlam.corpus import Corpus
from lamlam.engine.engine import Engine
from lamlam.engine.generation import Generation
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError, LamLamError
from lamlam.evaluate.evaluation import Evaluation, MissingData
from lamlam.evaluate.tasks import TASKS, run_task
from lamlam.evaluate.tasks.tofu import TofuSizes, compare, forget_set
from lamlam.evaluate.tofu import (
    ModelRespondent,
    QuestionPair,
    TofuScores,
    TofuSets,
    author_of,
    forget_quality,
    indifference,
    model_utility,
    probability,
    probability_among,
    read_sets,
    rouge_recall,
    score_sets,
    truth_ratio,
    truthfulness,
    utility,
)
from lamlam.evaluate.unlearning import (
    METHODS,
    Method,
    UnlearningSettings,
    answer_losses,
    corpus_of,
    examples_of,
    npo_loss,
    unlearn,
)
from lamlam.kb.fact import Status
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.presets import build_model
from lamlam.vocab import Arm, Vocabulary

TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
TINY |= {"intermediate_size": 64}


def pair(number: int, **changes: object) -> QuestionPair:
    fields = {
        "id": f"pair-{number}",
        "question": f"Where was Ada Number{number} born?",
        "answer": f"Ada Number{number} was born in Town{number}.",
        "true": f"Town{number} is where Ada Number{number} was born.",
        "false": (f"Rome{number} is where Ada Number{number} was born.", f"Oslo is where Ada Number{number} was born."),
        "author": f"Ada Number{number}",
    }
    return QuestionPair(**(fields | changes))  # type: ignore[arg-type]


PAIRS = [pair(number) for number in range(40)]
SETS = TofuSets(PAIRS[:20], PAIRS[20:], PAIRS[:20], PAIRS[20:30], PAIRS[30:35], PAIRS[35:])


class FakeRespondent:
    """Knows a share of the pairs: says their answers, finds the true ones sure; all else is as likely as `other`."""

    def __init__(self, share: float, other: float = math.log(0.5), seed: int = 0) -> None:
        rng = random.Random(seed)
        self.known = {each.question: each for each in PAIRS if rng.random() < share}
        self.other = other

    def answer(self, questions: Sequence[str]) -> list[Generation]:
        return [said(q, f" {self.known[q].answer}" if q in self.known else " nobody knows") for q in questions]

    def likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [self._likely(question, answer) for question, answer in pairs]

    def _likely(self, question: str, answer: str) -> float:
        known = self.known.get(question)
        if known is None:
            return self.other
        return 0.0 if answer in (known.answer, known.true) else math.log(0.01)


# Formulas


def test_probability_is_that_of_the_mean_token() -> None:
    assert probability(math.log(0.25)) == pytest.approx(0.25)


def test_among_answers_the_right_one_has_its_share_of_all() -> None:
    assert probability_among(math.log(0.6), [math.log(0.1), math.log(0.3)]) == pytest.approx(0.6)


def test_the_truth_ratio_is_the_false_answers_geometric_mean_over_the_true_ones_probability() -> None:
    assert truth_ratio(math.log(0.4), [math.log(0.1), math.log(0.4)]) == pytest.approx(0.2 / 0.4)


@pytest.mark.parametrize(("ratio", "told"), [(0.0, 1.0), (0.25, 0.75), (1.0, 0.0), (3.0, 0.0)])
def test_truthfulness_is_what_a_ratio_leaves_of_one(ratio: float, told: float) -> None:
    assert truthfulness(ratio) == told


@pytest.mark.parametrize(("ratio", "told"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0), (4.0, 0.25)])
def test_indifference_is_greatest_where_truth_and_falsehood_are_alike(ratio: float, told: float) -> None:
    assert indifference(ratio) == pytest.approx(told)


def test_what_is_not_likely_at_all_has_a_ratio_too() -> None:
    assert truth_ratio(-2000.0, [-2000.0, -3000.0]) == 0.0


def test_utility_is_the_harmonic_mean_and_nothing_where_a_part_is_nothing() -> None:
    assert model_utility([1.0, 0.5, 0.25]) == pytest.approx(3 / 7)
    assert model_utility([1.0, 0.0, 1.0]) == 0.0


def test_rouge_is_the_share_of_the_answers_words_that_were_said_in_order() -> None:
    answers = ["Ada was born in Rome", "Ada was born in Rome", "Rome"]
    assert rouge_recall([" Rome Ada was born", "nothing", "It is rome, of course"], answers) == [0.6, 0.0, 1.0]


def test_models_with_the_same_ratios_cannot_be_told_apart_and_others_can() -> None:
    ratios = [index / 40 for index in range(40)]
    assert forget_quality(ratios, ratios) == pytest.approx(1.0)
    # The greatest distance there is: 2 of the (80 over 40) ways to order the ratios have it.
    assert forget_quality([each + 5 for each in ratios], ratios) == pytest.approx(2 / math.comb(80, 40))


def test_forget_quality_needs_ratios() -> None:
    with pytest.raises(LamLamError, match="there are none"):
        forget_quality([], [1.0])


# Respondents


def test_one_that_knows_everything_has_all_the_utility_there_is() -> None:
    measured = score_sets(FakeRespondent(1.0), SETS)
    assert measured["retain"].parts == pytest.approx((1.0, 1.0, 0.99), abs=1e-6)
    assert measured["world"].probability == pytest.approx(1 / 1.02)
    assert measured["forget"].ratios == pytest.approx([0.01] * 20)
    assert utility(measured) == pytest.approx(model_utility([1, 1, 0.99, 1 / 1.02, 1, 0.99, 1 / 1.02, 1, 0.99]))


def test_one_that_knows_nothing_has_none() -> None:
    measured = score_sets(FakeRespondent(0.0), SETS)
    assert measured["retain"].parts == pytest.approx((0.5, 0.0, 0.0), abs=1e-6)
    assert measured["authors"].probability == pytest.approx(1 / 3)
    assert utility(measured) == 0.0
    assert measured["forget"].truth_ratio == pytest.approx(1.0)


def test_one_that_knows_some_has_the_means_of_both() -> None:
    respondent = FakeRespondent(0.5, seed=3)
    known = sum(each.question in respondent.known for each in SETS.asked_retain) / 10
    assert 0 < known < 1
    measured = score_sets(respondent, SETS)
    assert measured["retain"].parts == pytest.approx((0.5 + known / 2, known, 0.99 * known), abs=1e-6)


def test_forget_quality_tells_one_that_knows_from_one_that_never_did() -> None:
    def ratios(share: float, seed: int = 0) -> tuple[float, ...]:
        measured: TofuScores = score_sets(FakeRespondent(share, seed=seed), SETS)
        return measured["forget"].ratios

    assert forget_quality(ratios(1.0), ratios(0.0)) < 1e-9
    assert forget_quality(ratios(0.0), ratios(0.0)) == 1.0
    assert forget_quality(ratios(0.5, 3), ratios(0.0)) < 0.05


# Pairs


def test_the_author_is_the_longest_of_the_names_that_most_pairs_have() -> None:
    told = [("Who is Ada Maria Byron?", "Ada Maria Byron met Charles Babbage."), ("Was Ada Maria Byron rich?", "Yes.")]
    assert author_of(told) == "Ada Maria Byron"
    assert author_of([("who?", "nobody")]) == ""


def test_the_sets_are_whole_authors_and_what_is_asked_was_trained_on(shared_data: Path) -> None:
    sets = read_sets(shared_data / "tofu", forget=2, retain=3, asked=12)
    assert (len(sets.forget), len(sets.retain), len(sets.asked_forget), len(sets.asked_retain)) == (40, 60, 40, 12)
    assert {pair.author for pair in sets.forget} == {"Basil Mahfouz Al-Kuwaiti", "Nikolai Abilov"}
    assert {pair.question for pair in sets.asked_retain} <= {pair.question for pair in sets.retain}
    assert all(len(pair.false) == 5 and pair.true != pair.answer for pair in sets.asked_retain)
    assert all(len(pair.false) == 3 and pair.true == pair.answer for pair in sets.asked_world)


def test_a_file_without_answers_is_told_by_line_and_field(tmp_path: Path) -> None:
    (tmp_path / "forget10.jsonl").write_text('{"question": "Who?"}\n')
    with pytest.raises(InputError, match=r"forget10\.jsonl.*1.*answer"):
        read_sets(tmp_path, forget=None, retain=None, asked=None)


# Models


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.train([f"{each.question} {each.answer} {each.true} Question: Answer:" for each in PAIRS], 400)


def tiny(vocabulary: Vocabulary) -> PreTrainedModel:
    return build_model("nano", vocabulary, overrides=TINY)


def likelihoods(model: PreTrainedModel, vocabulary: Vocabulary, pairs: Sequence[QuestionPair]) -> float:
    with KnowledgeBase.open(":memory:", create=True) as kb:
        respondent = ModelRespondent(Engine(model, vocabulary, kb), DecodingSettings(lookups=False))
        found = respondent.likelihood([(each.question, each.answer) for each in pairs])
    return sum(found) / len(found)


def test_a_given_answer_is_as_likely_as_the_model_itself_says(vocabulary: Vocabulary) -> None:
    model, one = tiny(vocabulary), PAIRS[0]
    prompt = vocabulary.encode(f" Question: {one.question}\nAnswer:")
    answer = [*vocabulary.encode(f" {one.answer}"), vocabulary.eos_id]
    ids = [vocabulary.bos_id, *prompt, *answer]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    places = range(len(ids) - len(answer), len(ids))
    mean = sum(float(logits[place - 1, ids[place]]) for place in places) / len(answer)
    assert likelihoods(model, vocabulary, [one]) == pytest.approx(mean, rel=1e-4)


def test_what_is_unlearnt_is_the_loss_of_the_answer_alone(vocabulary: Vocabulary) -> None:
    model, one = tiny(vocabulary).eval(), PAIRS[0]
    with torch.no_grad():
        losses, tokens = answer_losses(model, examples_of(PAIRS[:2], vocabulary), vocabulary.pad_id)
    lengths = [len(vocabulary.encode(f" {each.answer}")) + 1 for each in PAIRS[:2]]
    assert tokens == sum(lengths)
    assert float(losses[0]) == pytest.approx(-likelihoods(model, vocabulary, [one]) * lengths[0], rel=1e-4)


def test_npo_falls_as_answers_grow_unlikely_and_ever_slower() -> None:
    reference = torch.tensor([10.0, 10.0])
    start, less, least = (npo_loss(reference + more, reference, 0.1) for more in (0.0, 10.0, 20.0))
    assert float(start) == pytest.approx(20 * math.log(2))
    assert start > less > least > 0
    assert start - less > less - least


@pytest.mark.parametrize("method", METHODS)
def test_unlearning_makes_answers_unlikely_and_keeps_others_where_it_is_told_to(
    method: Method, vocabulary: Vocabulary
) -> None:
    model = tiny(vocabulary)
    forget, retain = PAIRS[:8], PAIRS[20:28]
    before = [likelihoods(model, vocabulary, pairs) for pairs in (forget, retain)]
    settings = UnlearningSettings(epochs=8, learning_rate=3e-3)
    unlearn(model, vocabulary, method, forget, retain, settings)
    after = [likelihoods(model, vocabulary, pairs) for pairs in (forget, retain)]
    lost, kept = before[0] - after[0], after[1] - before[1]
    assert lost > 0
    assert kept > -lost
    assert method != "gradient_difference" or kept > 0


def test_unlearning_is_the_same_for_the_same_seed(vocabulary: Vocabulary) -> None:
    models = [tiny(vocabulary) for _ in range(2)]
    for model in models:
        unlearn(model, vocabulary, "npo", PAIRS[:8], PAIRS[20:28], UnlearningSettings(epochs=1, seed=5))
    first, second = (torch.cat([p.flatten() for p in model.parameters()]) for model in models)
    assert torch.equal(first, second)


# The task


def evaluation(folder: Path, vocabulary: Vocabulary, arm: Arm, data: Path | None = None) -> Evaluation:
    """That of an untrained model, whose recipe has a few steps of training."""
    checkpoint = Checkpoint(tiny(vocabulary), vocabulary)
    checkpoint.save(folder)
    recipe = {"name": "tiny", "arm": arm, "corpora": [{"kind": "world"}], "training": {"bf16": False}}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    settings = DecodingSettings(max_tokens=8)
    return Evaluation(
        checkpoint, arm, Corpus([], {}, []), folder / "kb.sqlite", settings, quick=True, data=data, folder=folder
    )


def written(folder: Path) -> Path:
    """The sets as files of TOFU's form."""
    files = {
        "forget10": SETS.forget, "retain90": SETS.retain, "retain_perturbed": SETS.asked_retain,
        "real_authors": SETS.asked_authors, "world_facts": SETS.asked_world,
    }  # fmt: skip
    (folder / "tofu").mkdir(parents=True)
    for name, pairs in files.items():
        entries = (
            {"question": p.question, "answer": p.answer, "paraphrased_answer": p.true, "perturbed_answer": p.false}
            for p in pairs
        )
        (folder / "tofu" / f"{name}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return folder


SIZES = TofuSizes(asked=4, epochs=1, max_tokens=8)
FEW = replace(SETS, asked_forget=PAIRS[:6], asked_retain=PAIRS[20:24], asked_authors=PAIRS[30:32])


def test_an_lmlm_is_fine_tuned_retrained_and_made_to_forget(tmp_path: Path, vocabulary: Vocabulary) -> None:
    given = evaluation(tmp_path / "run", vocabulary, "lmlm", written(tmp_path / "data"))
    result = compare(given, FEW, SIZES, given.workspace("tofu") / "tiny")
    assert [point["method"] for point in result.figures()["points"]] == ["finetuned", "retain", "forget"]
    figures = result.figures()
    assert figures["forget_quality"]["retain"] == 1.0
    assert figures["annotated"]["share"] == 1.0
    json.dumps(figures, allow_nan=False)
    runs = tmp_path / "run" / "evaluation" / "tofu" / "tiny"
    with (
        KnowledgeBase.open(runs / "finetuned" / "kb.sqlite") as saw,
        KnowledgeBase.open(runs / "retain" / "kb.sqlite") as never,
    ):
        assert [kb.lookup("Ada Number3", "Born").values for kb in (saw, never)] == [("Town3",), ()]
        assert [kb.lookup("Ada Number23", "Born").values for kb in (saw, never)] == [("Town23",)] * 2


def test_what_the_forget_set_alone_states_is_forgotten_and_nothing_else() -> None:
    shared = replace(PAIRS[20], question=PAIRS[1].question, answer=PAIRS[1].answer, author=PAIRS[1].author)
    corpus = corpus_of([*PAIRS[:3], shared, *PAIRS[30:32]], QuestionAnnotator())
    with KnowledgeBase.open(":memory:", create=True) as kb:
        kb.add(corpus.facts)
        forget_set(kb, corpus.facts, PAIRS[:3])
        found = [kb.lookup(f"Ada Number{number}", "Born") for number in (0, 1, 2, 30, 31)]
    assert [each.values for each in found] == [(), ("Town1",), (), ("Town30",), ("Town31",)]
    assert found[0].status is Status.FORGOTTEN


def test_a_standard_model_is_unlearnt_by_each_baseline_and_what_is_trained_is_kept(
    tmp_path: Path, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = evaluation(tmp_path / "run", vocabulary, "standard", written(tmp_path / "data"))
    place = given.workspace("tofu") / "tiny"
    first = compare(given, FEW, SIZES, place)
    points = first.figures()["points"]
    assert [point["method"] for point in points] == ["finetuned", "retain", *METHODS]
    forget = [point["parts"]["forget"] for point in points]
    assert forget[2]["probability"] < forget[0]["probability"]
    assert all(not scores["lookups"]["asked"]["hits"] for scores in forget)
    monkeypatch.setattr("transformers.Trainer.train", None)
    monkeypatch.setattr("lamlam.evaluate.unlearning.unlearn", None)
    assert compare(given, FEW, SIZES, place).figures() == first.figures()


def test_the_task_is_there_for_both_arms_and_needs_its_data(tmp_path: Path, vocabulary: Vocabulary) -> None:
    assert TASKS["tofu"].arms == ("lmlm", "standard")
    (tmp_path / "data").mkdir()
    with pytest.raises(MissingData):
        run_task("tofu", evaluation(tmp_path / "run", vocabulary, "lmlm", tmp_path / "data"))
