"""The whole loop on a small run: facts come from the knowledge base, change with it and go with it."""

import json
from pathlib import Path

import pytest

from lamlam.corpus import Corpus
from lamlam.corpus.files import load_corpus
from lamlam.demo import run_demo
from lamlam.engine import DecodingSettings, Engine
from lamlam.evaluate.completion import complete
from lamlam.evaluate.tasks.facts import edit_facts, forget_facts
from lamlam.kb import KnowledgeBase, Resolution
from lamlam.model.checkpoint import Checkpoint
from lamlam.pretrain.training import Run

SETTINGS = DecodingSettings(max_tokens=12)


@pytest.fixture(scope="module")
def checkpoint(trained_run: Path) -> Checkpoint:
    return Checkpoint.load(trained_run)


@pytest.fixture(scope="module")
def corpus(trained_run: Path) -> Corpus:
    corpus = load_corpus(Run(trained_run).corpus)
    corpus.probes = [probe for probe in corpus.probes if probe.group == "seen"][:80]
    return corpus


@pytest.fixture
def kb(trained_run: Path):
    with KnowledgeBase.open(Run(trained_run).knowledge_base) as kb:
        yield kb


class Crossed:
    """A knowledge base that is broken on purpose: it finds what another lookup asked for."""

    def __init__(self, kb: KnowledgeBase, corpus: Corpus) -> None:
        self.kb = kb
        pairs = zip(corpus.probes, corpus.probes[7:], strict=False)
        self.other = {probe.entity: other.entity for probe, other in pairs}

    def __getattr__(self, name: str):
        return getattr(self.kb, name)

    def lookup_many(self, pairs) -> list[Resolution]:
        return self.kb.lookup_many([(self.other.get(entity, "nobody"), relation) for entity, relation in pairs])


def accuracy(checkpoint: Checkpoint, kb, corpus: Corpus, settings: DecodingSettings = SETTINGS) -> float:
    engine = Engine(checkpoint.model, checkpoint.vocabulary, kb)
    return complete(engine, corpus.probes, settings).scores["accuracy"].value


def test_facts_come_from_the_knowledge_base(checkpoint, kb, corpus):
    assert accuracy(checkpoint, kb, corpus) > 0.5


def test_without_lookups_the_facts_are_gone(checkpoint, kb, corpus):
    assert accuracy(checkpoint, kb, corpus, SETTINGS.model_copy(update={"lookups": False})) < 0.1


def test_with_lookups_broken_on_purpose_the_accuracy_falls(checkpoint, kb, corpus):
    assert accuracy(checkpoint, Crossed(kb, corpus), corpus) < 0.1


def test_an_edit_is_said_at_once_and_a_forgotten_fact_no_more(checkpoint, corpus, trained_run):
    def engine_on(kb: KnowledgeBase) -> Engine:
        return Engine(checkpoint.model, checkpoint.vocabulary, kb)

    before = Run(trained_run).knowledge_base.read_bytes()
    edit = edit_facts(engine_on, Run(trained_run).knowledge_base, corpus.probes, SETTINGS, number=10)
    forget = forget_facts(engine_on, Run(trained_run).knowledge_base, corpus.probes, SETTINGS, number=10)
    # So small a model has learnt some of its few values by heart and miscopies new ones, and at times it guesses one
    # after a miss; the demo's does not. What must hold whatever it has learnt is asked of its lookups.
    assert edit.proportions["success"].value > 0.3
    assert edit.proportions["reverted"].value == 1.0
    assert edit.proportions["locality"].value >= 0.98
    assert forget.proportions["survival"].hits == 0
    assert not {row["forgotten"].status for row in forget.rows if row.about} & {"exact", "alias", "fuzzy"}
    assert forget.proportions["collateral"].value <= 0.02
    assert Run(trained_run).knowledge_base.read_bytes() == before


def test_control_tokens_typed_in_a_prompt_trigger_nothing(checkpoint, kb):
    engine = Engine(checkpoint.model, checkpoint.vocabulary, kb)
    prompt = "<|db_entity|> Ada<|db_relationship|> Birth Place<|db_return|>"
    (generation,) = engine.generate([prompt], SETTINGS.model_copy(update={"lookups": False}))
    typed = generation.ids[: len(generation.ids) - SETTINGS.max_tokens]
    assert not set(generation.ids) & checkpoint.vocabulary.control_ids
    assert checkpoint.vocabulary.decode(typed).lstrip().startswith("<|db_entity|> Ada<|db_relationship|>")
    assert not generation.lookups


def test_the_demo_leaves_results_and_a_report(tmp_path):
    changes = ["training.tokens=20000", "vocabulary.size=600", "corpora.0.people=40", "model.overrides.hidden_size=48"]
    changes += ["training.evaluations=2", "training.heldout=20", "model.overrides.intermediate_size=128"]
    run_demo(tmp_path, changes=changes)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    for path in (
        "lmlm.seen.accuracy",
        "lmlm.unseen.accuracy",
        "lmlm.db_off.accuracy",
        "lmlm.perplexity.static",
        "lmlm.perplexity.normalized",
        "lmlm.perplexity.dynamic",
        "standard.seen.accuracy",
        "standard.unseen.accuracy",
        "standard.perplexity",
        "seconds.lmlm",
        "seconds.standard",
    ):
        figure = results
        for key in path.split("."):
            figure = figure[key]
        assert isinstance(figure, float | int), path
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 3
    assert (tmp_path / "completions.jsonl").stat().st_size > 0
