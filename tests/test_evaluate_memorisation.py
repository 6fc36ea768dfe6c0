"""Memorisation and offloading: a floor known beforehand, and small models trained with and without the mask."""

import json
import math
import shutil
from pathlib import Path

import pytest

from fakes_evaluate import probe
from lamlam.corpus.files import load_corpus
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.evaluation import Evaluation, NotApplicable
from lamlam.evaluate.suite import Suite
from lamlam.evaluate.tasks import run_task
from lamlam.evaluate.tasks.paired_runs import RelationPrior
from lamlam.markup import AnnotatedDocument, Call
from lamlam.model.checkpoint import Checkpoint
from lamlam.vocab import Vocabulary


def stating(*values: str) -> list[AnnotatedDocument]:
    return [
        AnnotatedDocument(str(n), f"It is {value}.", (Call("It", "Kind", value, 6),)) for n, value in enumerate(values)
    ]


def test_the_prior_guesses_a_relations_most_frequent_value() -> None:
    prior = RelationPrior(stating("red", "red", "blue"))
    asked = [probe(1, relation="Kind", answers=(answer,)) for answer in ("red", "red", "blue", "green")]
    assert prior.guess("Kind") == "red"
    assert prior.accuracy(asked).value == 0.5
    assert prior.accuracy([probe(1, relation="Colour")]).value == 0.0


def test_the_priors_loss_is_that_of_counts_with_one_for_the_unseen() -> None:
    letters = Vocabulary.train(["a b"], 263)
    prior = RelationPrior(stating("a", "a", "b"))
    # (2+1)/(3+2+1) for "a", 1/6 for what was never seen; " a" and " c" are two bytes each.
    assert prior.loss(stating("a", "c"), letters) == pytest.approx((math.log(2) + math.log(6)) / 4)
    assert prior.loss([], letters) is None


@pytest.fixture(scope="module")
def evaluation(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(trained_run, folder)
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("tokens: 250000", "tokens: 100000"))
    corpus = load_corpus(folder / "corpus")
    corpus.probes = corpus.probes[:30]
    corpus.heldout = {group: documents[:6] for group, documents in corpus.heldout.items()}
    settings = DecodingSettings(max_tokens=8)
    checkpoint = Checkpoint.load(folder)
    return Evaluation(checkpoint, "lmlm", corpus, folder / "kb.sqlite", settings, sample=4, quick=True, folder=folder)


@pytest.mark.slow
def test_values_that_carry_loss_are_learnt_and_masked_ones_are_not(evaluation: Evaluation) -> None:
    figures = run_task("memorisation", evaluation)["memorisation"].figures()
    ends = {name: figures["curves"][name]["seen"][-1][1] for name in ("masked", "unmasked")}
    assert ends["unmasked"] < ends["masked"] - 1
    assert figures["masked"]["off"]["seen"]["n"] > 0
    assert 0 < figures["floor"]["seen"]["accuracy"] < 0.5
    json.dumps(figures, allow_nan=False)


@pytest.mark.slow
def test_offloading_has_a_step_for_each_share_and_policy(evaluation: Evaluation) -> None:
    assert evaluation.folder is not None
    recipe = evaluation.folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("tokens: 100000", "tokens: 20000"))
    figures = run_task("offloading", evaluation)["offloading"].figures()
    assert [(step["policy"], step["share"]) for step in figures["steps"]] == [
        ("random", 0.0),
        ("random", 0.5),
        ("random", 1.0),
        ("hardest", 0.5),
    ]
    values = [step["perplexity"]["loss_by_class"].get("value", {"tokens": 0})["tokens"] for step in figures["steps"]]
    assert values[0] == 0
    assert values[0] < values[1] < values[2]
    json.dumps(figures, allow_nan=False)


def test_a_suite_goes_on_where_it_was_cut_off(evaluation: Evaluation) -> None:
    suite = Suite(evaluation, evaluation.folder)
    first = next(suite.run(["completion", "perplexity"]))  # cut off after the first task
    assert first.seconds is not None
    again = list(Suite(evaluation, evaluation.folder).run(["completion", "perplexity"]))
    assert [outcome.seconds is None for outcome in again] == [True, False]
    assert again[0].results == first.results
    assert next(suite.run(["completion"], again=True)).seconds is not None


def test_what_has_no_ground_is_told_and_tried_again(evaluation: Evaluation, tmp_path: Path) -> None:
    lost = Evaluation(
        **{name: getattr(evaluation, name) for name in ("checkpoint", "arm", "corpus", "kb_path")},
        settings=evaluation.settings,
    )
    with pytest.raises(NotApplicable, match="folder of a run"):
        run_task("memorisation", lost)
    suite = Suite(lost, tmp_path)
    for _ in range(2):
        (outcome,) = suite.run(["memorisation"])
        assert "folder of a run" in outcome.results["memorisation"]["skipped"]
        assert outcome.seconds is not None
