"""`lamlam evaluate`, on a small untrained model: what it writes, and what it says of bad input."""

import json
import shutil
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from fakes_model import tiny_llama
from lamlam.cli.evaluate import register
from lamlam.corpus import Corpus, FactRecord, Probe
from lamlam.corpus.files import save_corpus
from lamlam.errors import InputError
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.tasks import run_task
from lamlam.kb.store import KnowledgeBase
from lamlam.markup import AnnotatedDocument, Call
from lamlam.model.checkpoint import Checkpoint
from lamlam.vocab import Vocabulary

NAMES = ("Ada", "Bob", "Cleo", "Dan")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run: an untrained checkpoint, a corpus and a knowledge base."""
    folder = tmp_path_factory.mktemp("run")
    facts = [FactRecord(name, "Birth Place", f"{name}ville") for name in NAMES]
    documents = [
        AnnotatedDocument(
            f.entity, f"{f.entity} was born in {f.value}.", (Call(f.entity, f.relation, f.value, len(f.entity) + 13),)
        )
        for f in facts
    ]
    probes = [
        Probe(f.entity, f"{f.entity} was born in", f.entity, f.relation, (f.value,), group, 1)
        for f, group in zip(facts, ("seen", "seen", "unseen", "unseen"), strict=True)
    ]
    corpus = Corpus(documents, {"seen": documents[:2], "unseen": documents[2:]}, facts, probes)
    save_corpus(corpus, folder / "corpus")
    with KnowledgeBase.open(folder / "kb.sqlite", create=True) as kb:
        kb.add(facts)
    vocabulary = Vocabulary.train([d.text for d in documents], 300)
    Checkpoint(tiny_llama(vocabulary, context=128), vocabulary).save(folder)
    return folder


def invoke(*arguments: object) -> Result:
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_completion_and_perplexity_are_written_beside_the_checkpoint(run: Path) -> None:
    result = invoke(run, "--task", "completion", "--task", "perplexity", "--max-tokens", 4, "--sample", 2)
    assert result.exit_code == 0, result.output
    written = json.loads((run / "results.json").read_text(encoding="utf-8"))
    assert set(written) == {"completion", "completion_db_off", "perplexity", "perplexity_seen", "perplexity_unseen"}
    assert written["completion"]["figures"]["seen"]["n"] == 2
    assert written["completion"]["settings"]["decoding"]["max_tokens"] == 4
    assert len(written["completion"]["knowledge_base"]) > 8
    whole, parts = written["perplexity"]["figures"], [written[f"perplexity_{g}"]["figures"] for g in ("seen", "unseen")]
    assert whole["text_tokens"] == sum(part["text_tokens"] for part in parts)
    assert whole["dynamic_detail"]["documents"] == 4
    assert "static" in result.output


def test_the_standard_arm_is_measured_without_lookups(run: Path) -> None:
    from lamlam.corpus.files import load_corpus
    from lamlam.engine.settings import DecodingSettings

    settings = DecodingSettings(max_tokens=4)
    evaluation = Evaluation(Checkpoint.load(run), "standard", load_corpus(run / "corpus"), run / "kb.sqlite", settings)
    (completion,) = run_task("completion", evaluation).values()
    assert completion.figures()["all"]["asked"] == 0
    assert "perplexity" in run_task("perplexity", evaluation)["perplexity"].figures()
    with pytest.raises(InputError, match="makes no lookups"):
        run_task("editing", evaluation)


def test_an_arm_for_which_no_task_was_asked_has_no_results_and_is_no_fault(run: Path, tmp_path: Path) -> None:
    for arm in ("lmlm", "standard"):
        shutil.copytree(run, tmp_path / arm, ignore=shutil.ignore_patterns("results.json"))
    recipe = {
        "name": "x",
        "arm": "standard",
        "corpora": [{"kind": "folder", "path": "corpus"}],
        "training": {"tokens": 1},
    }
    (tmp_path / "standard" / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    result = invoke(tmp_path / "lmlm", "--standard", tmp_path / "standard", "--task", "editing", "--max-tokens", 4)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "standard" / "results.json").exists()
    assert (tmp_path / "lmlm" / "report.html").exists()
    assert str(tmp_path / "standard") not in result.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--task", "everything"], "unknown task 'everything'"),
        (["--kb", "gone.sqlite"], "gone.sqlite"),
        (["--corpus", "gone"], "gone"),
        (["--entities", "some"], "field 'entities'"),
    ],
)
def test_bad_input_is_told_in_one_sentence(run: Path, arguments: list[str], reason: str) -> None:
    result = invoke(run, *arguments)
    assert isinstance(result.exception, InputError)
    assert reason in str(result.exception)


def test_a_folder_without_a_checkpoint_is_told(tmp_path: Path) -> None:
    assert isinstance(invoke(tmp_path).exception, InputError)


def test_an_audit_forgets_on_a_copy_and_says_what_is_left(run: Path, tmp_path: Path) -> None:
    from lamlam.cli.audit import register as register_audit

    app = typer.Typer()
    register_audit(app)
    listed = tmp_path / "facts.jsonl"
    listed.write_text('{"entity": "Ada", "relation": "Birth Place", "value": "Adaville"}\n', encoding="utf-8")
    before = (run / "kb.sqlite").read_bytes()
    result = CliRunner().invoke(app, [str(run), "--facts", str(listed), "--max-tokens", "4"])
    assert result.exit_code == 0, result.output
    assert "facts forgotten: 1" in result.output
    figures = json.loads((run / "results.json").read_text(encoding="utf-8"))["audit_facts"]["figures"]["facts"]
    assert (figures["oracle"]["full"], figures["oracle"]["survival"]) == (1, 0)
    assert set(figures["model"]) == set(figures["oracle"])
    assert (run / "kb.sqlite").read_bytes() == before


def test_an_audit_says_which_fact_is_not_held(run: Path, tmp_path: Path) -> None:
    from lamlam.cli.audit import register as register_audit

    app = typer.Typer()
    register_audit(app)
    listed = tmp_path / "facts.jsonl"
    listed.write_text('{"entity": "Ada", "relation": "Birth Place", "value": "Oslo"}\n', encoding="utf-8")
    result = CliRunner().invoke(app, [str(run), "--facts", str(listed)])
    assert isinstance(result.exception, InputError)
    assert "does not hold Ada, Birth Place: Oslo" in str(result.exception)
