"""`lamlam generate` on a tiny checkpoint and a real knowledge base."""

import json
from pathlib import Path

import pytest
import torch
import typer
from transformers import LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner, Result

from fakes_engine import follow, planned, small_vocabulary
from fakes_server import by_script, serving
from lamlam.cli import generate
from lamlam.corpus import FactRecord
from lamlam.errors import LamLamError
from lamlam.kb import KnowledgeBase
from lamlam.markup import Call
from lamlam.model.checkpoint import Checkpoint
from lamlam.vocab import encode


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that likes to call, wherever it stands, and a knowledge base of one fact."""
    folder = tmp_path_factory.mktemp("run")
    vocabulary = small_vocabulary()
    width = 16
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=width,
            intermediate_size=width,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=200,
            tie_word_embeddings=False,
        )
    )
    with torch.no_grad():
        for weight in (model.lm_head.weight, model.model.layers[0].self_attn.o_proj.weight):
            weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.fill_(1.0)
        model.lm_head.weight[vocabulary.entity_id] = 5.0 / width  # a logit of 5, beside 0 for text
        model.lm_head.weight[vocabulary.eos_id] = -10.0 / width
    Checkpoint(model, vocabulary).save(folder)
    with KnowledgeBase.open(folder / "kb.sqlite", create=True) as kb:
        kb.add([FactRecord("Ada Lovelace", "[bold]field[/]", "logic", document="doc-1", start=3, end=9)])
    return folder


def _call(*arguments: object, stdin: str | None = None) -> Result:
    app = typer.Typer()
    generate.register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def test_prompts_are_continued_in_order(run: Path) -> None:
    result = _call(run, "Ada Lovelace", "Alan", "--max-tokens", 3, "--no-lookups")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Ada Lovelace")
    assert "\nAlan" in result.stdout


def test_samples_and_stop_strings_reach_the_engine(run: Path) -> None:
    drawn = _call(run, "Ada", "--max-tokens", 6, "--no-lookups", "--temperature", 1, "--samples", 3, "--seed", 5)
    assert len({line for line in drawn.stdout.splitlines() if line.startswith("Ada")}) > 1, drawn.output
    greedy = _call(run, "Ada", "--max-tokens", 6, "--no-lookups").stdout
    assert _call(run, "Ada", "--no-lookups", "--repetition-penalty", 0).exception is not None
    written = greedy.removeprefix("Ada").strip()
    stopped = _call(run, "Ada", "--max-tokens", 6, "--no-lookups", "--stop", written[1]).stdout
    assert len(stopped) < len(greedy)


def test_weights_are_converted_when_asked(run: Path) -> None:
    for dtype in ("auto", "bfloat16", "float32"):
        assert _call(run, "Ada", "--max-tokens", 3, "--no-lookups", "--dtype", dtype).exit_code == 0
    with pytest.raises(LamLamError, match="must be auto, float32 or bfloat16"):
        raise _call(run, "Ada", "--dtype", "int8").exception or AssertionError("it was taken")


def test_what_the_checkpoint_says_of_sampling_is_the_default(run: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint.load(run)
    checkpoint.model.generation_config.update(do_sample=True, temperature=3.0, top_k=7, max_new_tokens=2)
    checkpoint.save(tmp_path)
    (tmp_path / "kb.sqlite").write_bytes((run / "kb.sqlite").read_bytes())
    sampled = [_call(tmp_path, "Ada", "--no-lookups", "--seed", seed).stdout for seed in range(6)]
    assert len(set(sampled)) > 1
    chosen = [_call(tmp_path, "Ada", "--no-lookups", "--seed", seed, "--temperature", 0).stdout for seed in range(2)]
    assert len(set(chosen)) == 1


def test_a_trace_shows_facts_and_sources_as_they_are(run: Path) -> None:
    known = ("--entities", "known", "--relations", "known")
    shown = _call(run, "Ada Lovelace", "--trace", "--temperature", 1, "--max-tokens", 20, *known).stdout
    assert "1. Ada Lovelace | [bold]field[/] -> logic   exact" in shown
    assert "fact 1: Ada Lovelace | [bold]field[/] | logic" in shown
    assert "source: doc-1:3-9" in shown


def test_json_lines_go_in_and_out(run: Path, tmp_path: Path) -> None:
    lines = "".join(json.dumps({"prompt": prompt}) + "\n" for prompt in ["Ada Lovelace", "Alan", "日本"])
    result = _call(run, "--jsonl", "-", "--max-tokens", 4, stdin=lines)
    assert result.exit_code == 0, result.output
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["prompt"] for each in objects] == ["Ada Lovelace", "Alan", "日本"]
    assert set(objects[0]) == {"prompt", "text", "finish", "lookups", "refused_calls"}
    (tmp_path / "prompts.jsonl").write_text(lines)
    assert _call(run, "--jsonl", tmp_path / "prompts.jsonl", "--max-tokens", 4).stdout == result.stdout


def test_a_server_writes_with_the_tokenizer_of_a_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = small_vocabulary()
    plan = planned("Ada did logic.", Call("Ada Lovelace", "[bold]field[/]", "logic", 8))
    writes = by_script(follow(encode(plan, vocabulary).ids))
    monkeypatch.setenv("LAMLAM_API_KEY", "secret")
    with serving(writes, vocabulary, key="secret") as server:
        result = _call(run, "Ada did", "--server", server.url, "--model", "small", "--trace")
        assert result.exit_code == 0, result.output
        assert result.stdout.startswith("Ada did logic.\n  1. Ada Lovelace | [bold]field[/] -> logic   exact")
        assert {body["model"] for body in server.bodies} == {"small"}
        refused = _call(run, "Ada did", "--server", server.url, "--entities", "known")
    assert "must be 'free'" in str(refused.exception)


@pytest.mark.parametrize(
    ("arguments", "stdin", "reason"),
    [
        ([], None, "give either prompts"),
        (["x", "--jsonl", "-"], "", "give either prompts"),
        (["--jsonl", "-"], '{"prompt": "a"}\n{"promp', "standard input:2"),
        (["--jsonl", "-"], '{"text": "a"}\n', "field 'prompt'"),
        (["x", "--entities", "all"], None, "field 'entities'"),
        (["x", "--top-k", "3"], None, "temperature above 0"),
        (["x", "--temperature", "nan"], None, "field 'temperature'"),
        (["x", "--kb", "nowhere.sqlite"], None, "nowhere.sqlite"),
        (["x", "--model", "small"], None, "needs --server"),
        (["x", "--server", "localhost:8000"], None, "must begin with http"),
        (["word " * 300], None, "leave no room in the model's context of 200"),
    ],
)
def test_bad_input_is_told_in_one_sentence(run: Path, arguments: list[str], stdin: str | None, reason: str) -> None:
    result = _call(run, *arguments, stdin=stdin)
    assert isinstance(result.exception, LamLamError)
    assert reason in str(result.exception)
    assert "\n" not in str(result.exception)
