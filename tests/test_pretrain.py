"""Pretraining: the same loss however a batch is split, the same curve after a kill, honest faults."""

import itertools
import json
import os
import subprocess
import sys
from functools import partialmethod
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from lamlam.cli.app import app
from lamlam.corpus import Corpus
from lamlam.errors import InputError, LamLamError
from lamlam.kb import KnowledgeBase
from lamlam.markup import AnnotatedDocument
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.presets import PRESETS, build_model
from lamlam.model.weights import load_model
from lamlam.pretrain import trainer
from lamlam.pretrain.packing import PackedFile
from lamlam.pretrain.recipe import load_recipe
from lamlam.pretrain.training import Run, TimeIsUp, pretrain
from lamlam.serve.places import ServePaths
from lamlam.vocab import Vocabulary

RECIPE = Path(__file__).with_name("small.yaml")
TINY = ["training.tokens=16000", "training.checkpoints=3", "vocabulary.size=600", "model.overrides.hidden_size=32"]
TINY += ["model.overrides.intermediate_size=64"]


def metrics(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    timed = {"seconds", "tokens_per_second", "utilisation"}
    return [{key: value for key, value in line.items() if key not in timed} for line in lines]


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in metrics(folder) if "loss" in line]


def train(folder: Path, *changes: str) -> Path:
    pretrain(load_recipe(RECIPE, [*TINY, *changes]), folder)
    return folder


def test_a_run_leaves_a_plain_hugging_face_folder(trained_run):
    model = AutoModelForCausalLM.from_pretrained(trained_run)
    assert model.config.vocab_size == len(Vocabulary.load(trained_run))
    assert {"recipe.yaml", "metrics.jsonl", "kb.sqlite"} <= {path.name for path in trained_run.iterdir()}
    assert not [
        path for path in trained_run.rglob("*") if path.suffix in {".bin", ".pt", ".pkl"} and "packed" not in path.parts
    ]


def test_training_lowers_the_loss_and_leaves_the_masked_values_unlearnt(trained_run):
    seen = [line for line in metrics(trained_run) if line.get("group") == "seen"]
    assert seen[-1]["static"] < seen[0]["static"]
    assert seen[-1]["value_loss"] > 3 * seen[-1]["text_loss"]


def test_accumulating_half_batches_gives_the_loss_of_whole_ones(tmp_path):
    whole = losses(train(tmp_path / "whole", "training.bf16=false"))
    split = losses(train(tmp_path / "split", "training.bf16=false", "training.batch=4", "training.accumulate=2"))
    assert len(whole) == len(split) > 5
    assert split == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_killed_run_ends_as_if_it_had_not_been_killed(tmp_path, optimizer):
    whole = train(tmp_path / "whole", f"training.optimizer={optimizer}")
    killed = tmp_path / "killed"
    die = (
        "import os, sys\n"
        "from lamlam.pretrain import monitor\n"
        "from lamlam.pretrain.recipe import load_recipe\n"
        "from lamlam.pretrain.training import pretrain\n"
        "write = monitor.Monitor._write\n"
        "def write_or_die(self, state, figures):\n"
        "    os._exit(9) if state.global_step == 9 else write(self, state, figures)\n"
        "monitor.Monitor._write = write_or_die\n"
        "pretrain(load_recipe(sys.argv[1], sys.argv[3:]), sys.argv[2])\n"
    )
    command = [sys.executable, "-c", die, str(RECIPE), str(killed), *TINY, f"training.optimizer={optimizer}"]
    # The loss of one process and the next is the same only with the same number of threads.
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 9
    assert len(losses(killed)) == 8
    train(killed, f"training.optimizer={optimizer}")
    assert json.loads((killed / "training.json").read_text())["resumed"] is True
    assert losses(killed) == losses(whole)
    assert same_weights(killed, whole)


def same_weights(one: Path, other: Path) -> bool:
    """Bit by bit."""
    weights, others = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)


def test_a_run_that_is_stopped_by_time_ends_as_if_it_had_not_been_stopped(tmp_path):
    """With lines of several steps, a second epoch, accumulated batches and dropout."""
    changes = ["training.batch=1", "training.accumulate=2", "training.epochs=3.2", "training.heldout=2"]
    changes += ["model.overrides.attention_dropout=0.1"]
    whole = train(tmp_path / "whole", *changes)
    stopped, steps = tmp_path / "stopped", []
    for _ in range(3):
        with pytest.raises(TimeIsUp, match="run the same command again") as caught:
            pretrain(load_recipe(RECIPE, [*TINY, *changes]), stopped, seconds=0)
        steps.append(caught.value.step)
    assert steps == [2, 4, 6]
    train(stopped, *changes)
    assert metrics(stopped) == metrics(whole)
    assert same_weights(stopped, whole)
    assert len(losses(whole)) < 0.6 * metrics(whole)[-1]["step"]


def test_a_run_that_has_ended_is_not_trained_again(tmp_path):
    folder = train(tmp_path)
    before = (folder / "model.safetensors").stat().st_mtime_ns
    train(folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    train(folder, "seed=1")
    assert (folder / "model.safetensors").stat().st_mtime_ns != before


def test_old_weights_are_not_read_where_another_recipe_was_cut_off(tmp_path):
    folder = train(tmp_path)
    (folder / "results.json").write_text("{}")
    with pytest.raises(TimeIsUp):
        pretrain(load_recipe(RECIPE, [*TINY, "seed=1"]), folder, seconds=0)
    assert (folder / "model.safetensors").exists()
    assert not (folder / "results.json").exists()  # they are of the old weights
    for reader in (Checkpoint.load, load_model, ServePaths.of_run):
        with pytest.raises(InputError, match="training has not ended"):
            reader(folder)
    for verb, *more in (["generate", "Ada"], ["generate", "Ada", "--server", "http://a"], ["evaluate"], ["serve"]):
        told = CliRunner().invoke(app, [verb, str(folder), *more])
        assert "training has not ended" in str(told.exception)
    train(folder, "seed=1")
    assert Checkpoint.load(folder)


def test_a_recipe_that_cannot_be_prepared_leaves_a_finished_run_as_it_is(tmp_path):
    folder = train(tmp_path)
    with pytest.raises(LamLamError, match="no text to train on"):
        pretrain(load_recipe(RECIPE, [*TINY, "seed=1"]), folder, [Corpus([AnnotatedDocument("a", "")], {}, [])])
    assert Checkpoint.load(folder)
    assert (folder / "training.json").exists()


def test_the_standard_arm_reads_the_same_texts_without_calls(tmp_path):
    lmlm, standard = train(tmp_path / "lmlm"), train(tmp_path / "standard", "arm=standard")
    vocabulary = Vocabulary.load(standard)
    assert vocabulary.tokenizer.get_vocab() == Vocabulary.load(lmlm).tokenizer.get_vocab()
    ids = PackedFile(Run(standard).packed).ids
    assert not [token for token in vocabulary.control_ids if (ids == token).any()]
    assert (PackedFile(Run(lmlm).packed).ids == vocabulary.entity_id).any()


def test_a_mixture_keeps_its_shares_of_the_tokens(tmp_path):
    recipe = load_recipe(RECIPE, TINY)
    texts = [AnnotatedDocument(str(i), f"zebra {i} zebra") for i in range(40)]
    other = Corpus(texts, {"seen": texts[:2]}, [])
    source = recipe.corpora[0]
    mixed = recipe.model_copy(update={"corpora": (source, source.model_copy(update={"weight": 0.25}))})
    from lamlam.pretrain.data import read_corpora

    pretrain(mixed, tmp_path, [read_corpora(recipe)[0], other])
    vocabulary = Vocabulary.load(tmp_path)
    packed = PackedFile(Run(tmp_path).packed)
    zebras = [int(token) for token in vocabulary.encode(" zebra")]
    documents = (packed.ids == vocabulary.bos_id).sum()
    assert (packed.ids == zebras[0]).any()
    lengths = {document.text: 2 + len(vocabulary.encode(" " + document.text)) for document in texts}
    share = (
        sum(lengths.values()) / len(lengths) * (documents - world_documents(packed, vocabulary)) / packed.meta["tokens"]
    )
    assert share == pytest.approx(0.2, abs=0.03)


def world_documents(packed: PackedFile, vocabulary: Vocabulary) -> int:
    """Documents with a call: the world's all have one, the others none."""
    count = 0
    for row in packed.ids:
        starts = [i for i, token in enumerate(row) if token == vocabulary.bos_id] + [len(row)]
        count += sum((row[a:b] == vocabulary.entity_id).any() for a, b in itertools.pairwise(starts))
    return count


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_has_its_shape(preset):
    vocabulary = Vocabulary.train(["a b c"], 300)
    with torch.device("meta"):
        model = build_model(preset, vocabulary)
    assert model.config.vocab_size == len(vocabulary)


@pytest.mark.parametrize(("preset", "millions"), [("gpt2-124m", 124), ("gpt2-355m", 355), ("smollm2-135m", 135)])
def test_presets_have_the_published_number_of_parameters(preset, millions):
    vocabulary = Vocabulary.train(["a b c"], 300)
    size = 50257 if preset.startswith("gpt2") else 49152
    with torch.device("meta"):
        model = build_model(preset, vocabulary, overrides={"vocab_size": size})
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_an_unknown_preset_or_field_is_told():
    vocabulary = Vocabulary.train(["a b c"], 300)
    with pytest.raises(LamLamError, match="unknown preset 'giga'"):
        build_model("giga", vocabulary)
    with pytest.raises(LamLamError, match="no field depth"):
        build_model("nano", vocabulary, overrides={"depth": 3})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\ncorpora: [{kind: world}]\ntokens: 3\n", r"field 'tokens': unknown setting"),
        ("name: x\ncorpora: []\n", r"field 'corpora'"),
        ("name: x\ncorpora: [{kind: comet}]\n", r"comet"),
        ("name: x\ncorpora: [{kind: world}]\ntraining: {tokens: -3}\n", r"field 'training.tokens'"),
        ("name: x\n  corpora: [\n", r"recipe.yaml:\d: not well-formed YAML"),
        ("- 1\n", r"a recipe is a mapping"),
        ("name: ../up\ncorpora: [{kind: world}]\n", r"field 'name'"),
    ],
)
def test_a_faulty_recipe_is_told_with_its_field(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_recipe(path)


def test_a_recipe_that_is_missing_or_not_text_is_told(tmp_path):
    with pytest.raises(InputError, match="no such recipe"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        load_recipe(tmp_path / "bytes.yaml")


def test_any_field_can_be_changed_from_outside():
    recipe = load_recipe(RECIPE, ["training.tokens=7", "corpora.0.people=21", "arm=standard"])
    assert (recipe.training.tokens, recipe.corpora[0].people, recipe.arm) == (7, 21, "standard")
    with pytest.raises(InputError, match="key=value"):
        load_recipe(RECIPE, ["training.tokens"])
    with pytest.raises(InputError, match="unknown setting"):
        load_recipe(RECIPE, ["training.token=7"])


@pytest.mark.parametrize("setting", ["compile", "gradient_checkpointing"])
def test_settings_of_speed_and_memory_do_not_change_the_losses(tmp_path, setting, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend="eager"))
    few = ["training.tokens=5000", "training.bf16=false", "training.heldout=3", "training.evaluations=2"]
    plain = train(tmp_path / "plain", *few)
    other = train(tmp_path / "other", *few, f"training.{setting}=true")
    assert losses(other) == pytest.approx(losses(plain), abs=1e-4)
    assert load_file(other / "model.safetensors").keys() == load_file(plain / "model.safetensors").keys()


@pytest.mark.parametrize(("bf16", "tolerance"), [("false", 1e-4), ("true", 1e-3)])
def test_the_step_of_a_lone_cpu_has_the_losses_of_the_plain_one(tmp_path, bf16, tolerance, monkeypatch):
    few = [f"training.bf16={bf16}", "training.evaluations=0", "training.optimizer=adamw"]
    fast = losses(train(tmp_path / "fast", *few))
    monkeypatch.setattr(trainer, "_is_alone_on_a_cpu", lambda training: False)
    plain = losses(train(tmp_path / "plain", *few))
    assert len(fast) == len(plain) > 10
    assert fast == pytest.approx(plain, abs=tolerance)


def test_packing_without_boundaries_is_another_run(tmp_path):
    few = ["training.tokens=5000", "training.bf16=false", "training.evaluations=0"]
    assert losses(train(tmp_path / "on", *few)) != losses(train(tmp_path / "off", *few, "training.boundaries=false"))


def test_attention_that_a_model_does_not_have_is_told(tmp_path):
    gpt2 = ["model.preset=gpt2-124m", "model.overrides={n_embd: 32, n_layer: 1, n_head: 2}", "training.attention=flex"]
    with pytest.raises(InputError, match=r"training\.attention.*no flex attention"):
        train(tmp_path, *gpt2, "training.tokens=5000")


def test_an_empty_corpus_trains_nothing_and_leaves_nothing_half_written(tmp_path):
    empty = Corpus([AnnotatedDocument("a", "")], {}, [])
    with pytest.raises(LamLamError, match="no text to train on"):
        pretrain(load_recipe(RECIPE, TINY), tmp_path / "run", [empty])
    assert not list(tmp_path.rglob("*.safetensors"))
    assert not list(tmp_path.rglob("packed.json"))


@pytest.mark.parametrize("recipe", sorted(Path("recipes").glob("*.yaml"), key=str))
def test_the_committed_recipes_are_valid(recipe):
    assert load_recipe(recipe).name == recipe.stem


@pytest.mark.parametrize("name", ["wikipedia", "squad", "webnlg"])
def test_real_texts_go_from_file_to_checkpoint(name, shared_data, monkeypatch, tmp_path):
    monkeypatch.setenv("LAMLAM_DATA", str(shared_data))
    small = ["num_hidden_layers=1", "num_attention_heads=2", "num_key_value_heads=2"]
    changes = [*TINY, "training.evaluations=1", "training.heldout=5", *(f"model.overrides.{each}" for each in small)]
    recipe = load_recipe(Path(__file__).parents[1] / "recipes" / f"{name}.yaml", changes)
    pretrain(recipe, tmp_path)
    run = Run(tmp_path)
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config.hidden_size == 32
    with KnowledgeBase.open(run.knowledge_base) as kb:
        fact = next(iter(kb.facts()))
        assert fact.value in kb.lookup(fact.entity, fact.relation).values
    assert {line["group"] for line in metrics(tmp_path) if "group" in line}
