"""Tasks of lm-evaluation-harness on a small untrained model, offline, from a YAML file with local data."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fakes_model import tiny_llama
from lamlam.corpus import Corpus
from lamlam.engine.engine import Engine
from lamlam.engine.settings import DecodingSettings
from lamlam.errors import InputError, LamLamError
from lamlam.evaluate.evaluation import Evaluation
from lamlam.evaluate.tasks import run_task
from lamlam.evaluate.tasks.harness import harness_figures, harness_model
from lamlam.kb.store import KnowledgeBase
from lamlam.model.checkpoint import Checkpoint
from lamlam.vocab import Vocabulary

INSTALLED = importlib.util.find_spec("lm_eval") is not None
needs_harness = pytest.mark.skipif(not INSTALLED, reason="lm-evaluation-harness is not installed (lamlam[harness])")

TASK = """\
task: little
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
test_split: test
output_type: {kind}
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
{more}
"""
CHOICES = 'doc_to_choice: [" one", " two"]\nmetric_list:\n  - metric: acc'
WRITING = (
    'generation_kwargs: {until: ["\\n"], max_gen_toks: 5}\n'
    "metric_list:\n  - metric: exact_match\n    aggregation: mean\n    higher_is_better: true"
)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("harness")
    with KnowledgeBase.open(folder / "kb.sqlite", create=True) as kb:
        kb.add([("Ada", "Birth Place", "Rome")])
    vocabulary = Vocabulary.train(["question and answer, one or two"], 300)
    checkpoint = Checkpoint(tiny_llama(vocabulary, context=96), vocabulary)
    return Evaluation(checkpoint, "lmlm", Corpus([], {}, []), folder / "kb.sqlite", DecodingSettings(), quick=True)


def task_file(folder: Path, kind: str, more: str) -> Path:
    cases = [{"question": f"question {n}:", "answer": n % 2} for n in range(12)]
    (folder / "cases.jsonl").write_text("\n".join(map(json.dumps, cases)), encoding="utf-8")
    path = folder / "little.yaml"
    path.write_text(TASK.format(data=folder / "cases.jsonl", kind=kind, more=more), encoding="utf-8")
    return path


@needs_harness
def test_a_task_of_ones_own_is_scored_by_likelihood(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    path = task_file(tmp_path, "multiple_choice", CHOICES)
    figures = run_task(f"harness:{path}", evaluation)["harness_little"].figures()
    assert figures["cases"] == {"little": 12}
    assert figures["lm_eval"]
    assert expected_accuracy(evaluation) == pytest.approx(figures["little"]["acc"])


def expected_accuracy(evaluation: Evaluation) -> float:
    """What the model finds likelier, computed by hand."""
    hits = []
    for n in range(12):
        scores = [log_p(evaluation.checkpoint, f"question {n}:", choice) for choice in (" one", " two")]
        hits.append(int(np.argmax(scores)) == n % 2)
    return float(np.mean(hits))


def log_p(checkpoint: Checkpoint, context: str, continuation: str) -> float:
    """log p of a continuation by hand: the text opens with a space, and no control token takes part."""
    vocabulary = checkpoint.vocabulary
    before = [vocabulary.bos_id, *vocabulary.encode(" " + context)]
    ids = [vocabulary.bos_id, *vocabulary.encode(f" {context}{continuation}")]
    logits = checkpoint.model(torch.tensor([ids])).logits[0].detach().double()
    logits[:, sorted(vocabulary.control_ids)] = -torch.inf
    table = logits.log_softmax(-1)
    return sum(float(table[i - 1, ids[i]]) for i in range(len(before), len(ids)))


@needs_harness
def test_a_task_that_lets_the_model_write(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    path = task_file(tmp_path, "generate_until", WRITING)
    figures = run_task(f"harness:{path}", evaluation)["harness_little"].figures()
    assert figures["little"]["exact_match"] == 0.0


@needs_harness
def test_what_the_harness_asks_of_a_model(evaluation: Evaluation) -> None:
    checkpoint = evaluation.checkpoint
    with KnowledgeBase.open(evaluation.kb_path) as kb:
        engine = Engine(checkpoint.model, checkpoint.vocabulary, kb)
        model = harness_model(checkpoint, engine, DecodingSettings(lookups=False))
        (alone,) = model.loglikelihood_rolling([_Request("question and answer")])
        (split,) = model.loglikelihood([_Request("question and", " answer")], disable_tqdm=True)
        (first,) = model.loglikelihood([_Request("", "question and")], disable_tqdm=True)
        assert split[0] == pytest.approx(log_p(checkpoint, "question and", " answer"), abs=1e-4)
        assert alone == pytest.approx(split[0] + first[0], abs=1e-4)
        (likeliest,) = engine.generate(["question"], DecodingSettings(lookups=False, max_tokens=1))
        (greedy,) = model.loglikelihood([_Request("question", likeliest.text)], disable_tqdm=True)
        assert greedy[1] or not likeliest.text.strip()
        long = "question and answer " * 60
        written = model.generate_until([_Request(long, {"until": "\n", "max_gen_toks": 3}), _Request("one", {})])
        assert len(written) == 2
        assert model.tok_encode("<|db_entity|>").count(checkpoint.vocabulary.entity_id) == 0


class _Request:
    def __init__(self, *args: object) -> None:
        self.args = args


@needs_harness
def test_a_task_that_is_none_is_told_in_one_sentence(evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot load the task"):
        run_task(f"harness:{tmp_path / 'gone.yaml'}", evaluation)


@pytest.mark.skipif(INSTALLED, reason="lm-evaluation-harness is installed")
def test_without_the_harness_it_is_told_how_to_come_by_it(evaluation: Evaluation) -> None:
    with pytest.raises(LamLamError, match=r"lamlam\[harness\]"):
        run_task("harness:hellaswag", evaluation)


def test_a_metric_that_is_no_number_is_null() -> None:
    found = {"t": {"alias": "t", "acc,none": 0.5, "acc_stderr,none": "N/A", "em,strict": float("nan")}}
    assert harness_figures(found) == {"t": {"acc": 0.5, "acc_stderr": None, "em,strict": None}}
