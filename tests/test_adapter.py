"""A base model in any form, adapted: trained, saved, opened with its base, and refused with another."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
from typer.testing import CliRunner

from fakes_gguf import write_gguf
from lamlam import pretrained
from lamlam.cli.app import app
from lamlam.engine import DecodingSettings, Engine
from lamlam.errors import InputError, LamLamError
from lamlam.kb import KnowledgeBase
from lamlam.model.adapter import Base, save_adapter
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.continuation import load_adaptable, load_grown
from lamlam.model.lora import LoraSettings
from lamlam.model.weights import load_model, model_digest, weight_digests
from lamlam.pretrain.export import export_adapter
from lamlam.pretrain.recipe import load_recipe
from lamlam.pretrain.training import TimeIsUp, pretrain
from lamlam.serve.opening import open_served
from lamlam.serve.places import ServePaths
from lamlam.vocab import CONTROL_TOKENS, Vocabulary
from test_continuation import STEPS, _recipe, foreign, plain_tokenizer

LORA = ["training.lora.rank=4", "training.learning_rate=1e-2"]
TEXT = "  Ada 's  \n\tborn — é 漢字 <|db_return|> <s></s> 1867 "


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return foreign(tmp_path_factory.mktemp("bases") / "base", "llama")


@pytest.fixture(scope="module")
def run(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    pretrain(load_recipe(_recipe(folder.parent), [f"model.path={base}", *STEPS, *LORA]), folder)
    return folder


def gguf_of(folder: Path, path: Path, kind: GGMLQuantizationType = GGMLQuantizationType.F32) -> Path:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return write_gguf(path, model, AutoTokenizer.from_pretrained(folder), kind)


def logits(model: torch.nn.Module, vocabulary: Vocabulary) -> torch.Tensor:
    ids = torch.tensor([[*sorted(vocabulary.control_ids), *vocabulary.encode("Ada was born in Rome")]])
    with torch.no_grad():
        return model.eval()(ids).logits


# Bases


@pytest.mark.parametrize("tied", [False, True])
def test_a_gguf_file_is_the_model_that_it_was_made_of(tmp_path, tied):
    folder = foreign(tmp_path / "base", "llama", tied=tied)
    file = gguf_of(folder, tmp_path / "base.gguf")
    assert model_digest(load_model(file)) == model_digest(load_model(folder))
    vocabulary = Vocabulary.extend(file)
    tokens = plain_tokenizer().convert_ids_to_tokens(range(len(plain_tokenizer())))
    assert vocabulary.tokenizer.convert_ids_to_tokens(range(len(tokens))) == tokens
    assert len({vocabulary.bos_id, vocabulary.eos_id, vocabulary.pad_id, *vocabulary.control_ids}) == 7
    ids = vocabulary.encode(TEXT)
    assert vocabulary.decode(ids) == TEXT
    assert not set(ids) & {vocabulary.bos_id, vocabulary.eos_id, vocabulary.pad_id, *vocabulary.control_ids}


@pytest.mark.parametrize("kind", [GGMLQuantizationType.Q8_0, GGMLQuantizationType.Q4_1])
def test_quantised_weights_become_plain_ones(base, tmp_path, kind):
    model, exact = load_model(gguf_of(base, tmp_path / "small.gguf", kind)), load_model(base)
    for name in ("lm_head", "model.layers.0.mlp.up_proj"):
        rounded = dequantize(quantize(exact.get_submodule(name).weight.detach().numpy(), kind), kind)
        assert torch.equal(model.get_submodule(name).weight, torch.from_numpy(rounded))
    assert model_digest(model) != model_digest(exact)
    model.save_pretrained(tmp_path / "plain")
    assert model_digest(load_model(tmp_path / "plain")) == model_digest(model)


def test_a_digest_is_of_numbers_and_not_of_their_precision(tmp_path):
    half = load_model(foreign(tmp_path / "half", "llama", dtype=torch.bfloat16))
    assert half.dtype == torch.bfloat16
    digest = model_digest(half)
    assert model_digest(half.float()) == digest
    with torch.no_grad():
        half.lm_head.weight[0, 0] += 1e-6
    assert model_digest(half) != digest


def test_a_gguf_file_is_trained_further_into_a_plain_folder(base, tmp_path):
    file = gguf_of(base, tmp_path / "base.gguf", GGMLQuantizationType.Q8_0)
    pretrain(load_recipe(_recipe(tmp_path), [f"model.path={file}", *STEPS, "training.tokens=600"]), tmp_path / "run")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "run")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run")
    assert set(CONTROL_TOKENS) <= tokenizer.get_vocab().keys()
    assert model.get_input_embeddings().num_embeddings == len(tokenizer)
    assert "quantization_config" not in json.loads((tmp_path / "run" / "config.json").read_text())
    assert model.dtype == torch.float32


def test_a_name_on_the_hub_is_downloaded_once_and_then_a_folder(base, monkeypatch):
    asked = []
    monkeypatch.setattr(pretrained, "snapshot_download", lambda name, **_: asked.append(name) or str(base))
    assert model_digest(load_model("someone/tiny")) == model_digest(load_model(base))
    assert len(Vocabulary.extend("someone/tiny")) == len(plain_tokenizer()) + len(CONTROL_TOKENS)
    assert set(asked) == {"someone/tiny"}


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (None, "nowhere", "no such folder or GGUF file"),
        (None, "nobody/nothing", "no such model on the hub, or the hub cannot be reached"),
        (b"GGUF", "model.bin", "neither a folder nor a GGUF file"),
        (b"", "empty.gguf", "cannot be read"),
        (b"GGUF" + b"\1" * 60, "broken.gguf", "cannot be read"),
    ],
)
def test_a_base_that_is_none_is_told_in_a_sentence(tmp_path, monkeypatch, content, name, message):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_model(name)


def test_a_torn_gguf_file_is_told(base, tmp_path):
    file = gguf_of(base, tmp_path / "base.gguf")
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(InputError, match=r"base\.gguf: the model cannot be read"):
        load_model(file)


@pytest.mark.parametrize("extra", ["gguf", "lora"])
def test_a_library_that_is_missing_is_told(base, tmp_path, monkeypatch, extra):
    monkeypatch.setattr(pretrained, "is_gguf_available", lambda: False)
    monkeypatch.setitem(sys.modules, "peft", None)
    vocabulary = Vocabulary.extend(base)
    source = gguf_of(base, tmp_path / "base.gguf") if extra == "gguf" else base
    with pytest.raises(LamLamError, match=rf"pip install 'lamlam\[{extra}\]'"):
        load_adaptable(source, vocabulary, LoraSettings())


def test_tokens_that_have_no_embedding_start_as_the_mean(base, tmp_path):
    """transformers gives a GGUF file's tokenizer a token of its own where the file names none for the unknown."""
    file = gguf_of(base, tmp_path / "base.gguf")
    vocabulary, old = Vocabulary.extend(file), len(plain_tokenizer())
    rows = load_grown(file, vocabulary).get_input_embeddings().weight
    assert len(rows) == len(vocabulary) > old + len(CONTROL_TOKENS)
    assert torch.allclose(rows[old:], rows[:old].mean(0), atol=1e-6)


# Adapters


def test_a_run_leaves_an_adapter_that_has_learnt(run):
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    names = {path.name for path in run.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "base.json", "tokenizer.json"} <= names
    assert not names & {"config.json", "model.safetensors", "state"}


def test_the_control_tokens_are_trained_at_both_ends_and_nothing_else_of_the_embedding(run, base):
    """Through the whole training step: what it does for speed must not pass the trained rows by."""
    vocabulary = Vocabulary.load(run)
    before, after = load_grown(base, vocabulary), Checkpoint.load(run).model
    for name in ("get_input_embeddings", "get_output_embeddings"):
        old, new = (getattr(model, name)().weight for model in (before, after))
        moved = (old != new).any(-1).nonzero().flatten().tolist()
        assert moved == sorted(vocabulary.control_ids)
    kept = load_file(run / "adapter_model.safetensors")
    assert {weight.dtype for weight in kept.values()} == {torch.float16}
    assert {weight.shape[0] for name, weight in kept.items() if "trainable_tokens" in name} == {4}


@pytest.mark.parametrize(("family", "tied"), [("llama", False), ("llama", True), ("gpt2", True)])
def test_an_opened_adapter_computes_what_was_trained(tmp_path, family, tied):
    source = foreign(tmp_path / "base", family, tied=tied)
    vocabulary = Vocabulary.extend(source)
    model, base = load_adaptable(source, vocabulary, LoraSettings(rank=4))
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert sum("rows" in name for name in trained) == (1 if tied else 2)
    assert all("lora_" in name or "rows" in name for name in trained)
    torch.manual_seed(0)
    for weight in trained.values():
        weight.data = torch.randn_like(weight).mul(0.1).half().float()
    folder = tmp_path / "adapter"
    vocabulary.save(folder)
    save_adapter(model, model.state_dict(), base, folder)
    opened = Checkpoint.load(folder).model
    assert type(opened) is type(AutoModelForCausalLM.from_pretrained(source))
    assert torch.allclose(logits(opened, vocabulary), logits(model, vocabulary), atol=1e-5)
    assert not torch.allclose(logits(opened, vocabulary), logits(load_grown(source, vocabulary), vocabulary), atol=1e-2)


@pytest.mark.parametrize("tied", [False, True])
def test_gradients_of_trained_rows_are_those_of_the_whole_table(tmp_path, tied):
    source = foreign(tmp_path / "base", "llama", tied=tied)
    vocabulary = Vocabulary.extend(source)
    rows, whole = load_adaptable(source, vocabulary, LoraSettings())[0], load_grown(source, vocabulary)
    ids = torch.tensor([[*sorted(vocabulary.control_ids), *vocabulary.encode("Ada was born in Rome")]])
    for model in (rows, whole):
        model(ids, labels=ids).loss.backward()
    chosen = sorted(vocabulary.control_ids)
    for name in ("get_input_embeddings", "get_output_embeddings"):
        layer = getattr(rows, name)()
        assert layer.weight.grad is None
        if not tied or name == "get_input_embeddings":
            assert torch.allclose(layer.rows.grad, getattr(whole, name)().weight.grad[chosen], atol=1e-6)


def test_peft_opens_what_a_run_leaves(run, base):
    from peft import PeftModel

    model = AutoModelForCausalLM.from_pretrained(base)
    vocabulary = Vocabulary.load(run)
    model.resize_token_embeddings(len(vocabulary))
    opened = PeftModel.from_pretrained(model, str(run))
    known = len(plain_tokenizer())
    ours = logits(Checkpoint.load(run).model, vocabulary)
    assert torch.allclose(logits(opened, vocabulary)[..., :known], ours[..., :known], atol=1e-4)


def test_a_run_that_is_cut_off_resumes_with_its_adapter_and_its_base(base, run, tmp_path):
    source = shutil.copytree(base, tmp_path / "base")
    recipe = load_recipe(_recipe(tmp_path), [f"model.path={source}", *STEPS, *LORA])
    with pytest.raises(TimeIsUp):
        pretrain(recipe, tmp_path / "run", seconds=0)
    other = load_model(source)
    with torch.no_grad():
        other.lm_head.weight.add_(0.1)
    other.save_pretrained(source)
    with pytest.raises(InputError, match="not the adapter's base"):
        pretrain(recipe, tmp_path / "run")
    shutil.copytree(base, source, dirs_exist_ok=True)
    pretrain(recipe, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "training.json").read_text())["resumed"] is True
    whole, resumed = (load_file(folder / "adapter_model.safetensors") for folder in (run, tmp_path / "run"))
    assert all(torch.allclose(whole[name].float(), resumed[name].float(), atol=2e-3) for name in whole)


def test_a_merged_run_is_a_plain_folder(base, run, tmp_path):
    changes = [f"model.path={base}", *STEPS, *LORA, "training.lora.save=merged"]
    pretrain(load_recipe(_recipe(tmp_path), changes), tmp_path / "run")
    assert not any((tmp_path / "run" / name).exists() for name in ("adapter_config.json", "base.json"))
    vocabulary = Vocabulary.load(run)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "run")
    assert torch.allclose(logits(plain, vocabulary), logits(Checkpoint.load(run).model, vocabulary), atol=1e-5)


def test_an_adapter_is_a_base_for_another(run, tmp_path):
    pretrain(load_recipe(_recipe(tmp_path), [f"model.path={run}", *STEPS, *LORA]), tmp_path / "second")
    assert len(Checkpoint.load(tmp_path / "second").vocabulary) == len(Vocabulary.load(run))
    assert Base.load(tmp_path / "second").digests == (model_digest(Checkpoint.load(run).model),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.preset=nano", "training.lora.rank=4"], "give model.path"),
        (["model.path=x", "training.lora.rank=0"], "training.lora.rank"),
        (["model.path=x", "training.lora.size=4"], "unknown setting"),
        (["model.path=x", "training.lora.save=both"], "training.lora.save"),
    ],
)
def test_faulty_settings_of_an_adapter_are_told(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        load_recipe(_recipe(tmp_path), changes)


def test_targets_choose_the_layers_and_unknown_ones_are_told(base):
    vocabulary = Vocabulary.extend(base)
    model, _ = load_adaptable(base, vocabulary, LoraSettings(targets=("q_proj",)))
    assert {name.split(".")[-4] for name, _ in model.named_parameters() if "lora_" in name} == {"q_proj"}
    with pytest.raises(InputError, match=r"training\.lora\.targets"):
        load_adaptable(base, vocabulary, LoraSettings(targets=("nothing",)))


# Finding the base


@pytest.fixture
def moved(run: Path, base: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A run whose base isn't where it was, and where the base is now."""
    folder, elsewhere = shutil.copytree(run, tmp_path / "run"), shutil.copytree(base, tmp_path / "elsewhere")
    record = json.loads((folder / "base.json").read_text())
    (folder / "base.json").write_text(json.dumps(record | {"model": str(tmp_path / "gone")}))
    return folder, elsewhere


def test_a_base_elsewhere_is_found_by_argument_or_environment(moved, monkeypatch):
    folder, elsewhere = moved
    with pytest.raises(InputError, match="say where with --base or LAMLAM_BASE"):
        Checkpoint.load(folder)
    by_argument = Checkpoint.load(folder, base=elsewhere)
    monkeypatch.setenv("LAMLAM_BASE", str(elsewhere))
    assert model_digest(Checkpoint.load(folder).model) == model_digest(by_argument.model)


def test_another_base_is_refused_until_its_digest_is_accepted(moved, tmp_path):
    folder, elsewhere = moved
    file = gguf_of(elsewhere, tmp_path / "small.gguf", GGMLQuantizationType.Q8_0)
    with pytest.raises(InputError, match=r"small\.gguf: not the adapter's base: its weights have the digest"):
        Checkpoint.load(folder, base=file)
    record = json.loads((folder / "base.json").read_text())
    record["digests"].append(model_digest(load_model(file)))
    (folder / "base.json").write_text(json.dumps(record))
    assert Checkpoint.load(folder, base=file).model


def test_a_base_on_the_hub_is_accepted_by_its_name_where_the_adapter_says_so(moved, base, tmp_path, monkeypatch):
    folder, _ = moved
    other = load_model(base)
    with torch.no_grad():
        other.lm_head.weight.mul_(1.001)  # as another precision changes weights
    other.save_pretrained(shutil.copytree(base, tmp_path / "snapshot"))
    monkeypatch.setattr("lamlam.pretrained._downloaded", lambda name: str(tmp_path / "snapshot"))
    with pytest.raises(InputError, match="someone/small: not the adapter's base"):
        Checkpoint.load(folder, base="someone/small")
    record = json.loads((folder / "base.json").read_text())
    (folder / "base.json").write_text(json.dumps(record | {"digests": [*record["digests"], "someone/small"]}))
    assert Checkpoint.load(folder, base="someone/small").model
    with pytest.raises(InputError, match="someone/else: not the adapter's base"):
        Checkpoint.load(folder, base="someone/else")


def test_the_same_base_as_a_gguf_file_is_taken(moved, tmp_path):
    folder, elsewhere = moved
    file = gguf_of(elsewhere, tmp_path / "base.gguf")
    opened, expected = Checkpoint.load(folder, base=file), Checkpoint.load(folder, base=elsewhere)
    assert model_digest(opened.model) == model_digest(expected.model)


@pytest.mark.parametrize("name", ["base.json", "adapter_model.safetensors", "tokenizer.json"])
def test_a_part_that_is_missing_is_told(run, tmp_path, name):
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / name).unlink()
    with pytest.raises(InputError):
        Checkpoint.load(folder)


def test_a_base_for_a_plain_folder_is_told(base, trained_run):
    with pytest.raises(InputError, match="not an adapter"):
        Checkpoint.load(trained_run, base=base)


def test_the_digests_of_weights_follow_adapter_and_base(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    assert weight_digests(folder) == weight_digests(run) != []
    for name in ("adapter_config.json", "adapter_model.safetensors", "base.json"):
        before = weight_digests(folder)
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
        assert weight_digests(folder) != before


# Using an adapter


def lamlam(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_engine_server_and_commands_open_an_adapter(run, base, tmp_path):
    checkpoint = Checkpoint.load(run)
    with KnowledgeBase.open(run / "kb.sqlite") as kb:
        engine = Engine(checkpoint.model, checkpoint.vocabulary, kb)
        [expected] = engine.generate(["Ada"], DecodingSettings(max_tokens=5))
    places = ServePaths.of_run(run)
    with open_served(places, 1).open_engine() as served:
        assert [each.text for each in served.generate(["Ada"], DecodingSettings(max_tokens=5))] == [expected.text]
    shown = lamlam("generate", run, "Ada", "--max-tokens", 5, "--base", base)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.strip("\n") == f"Ada{expected.text}".strip("\n")
    merged = lamlam("merge", run, tmp_path / "merged", "--base", base)
    assert merged.exit_code == 0, merged.output
    assert model_digest(Checkpoint.load(tmp_path / "merged").model) == model_digest(checkpoint.model)
    assert "has no adapter" in str(lamlam("merge", tmp_path / "merged", tmp_path / "again").exception)
    assert "write the merged model to another folder" in str(lamlam("merge", run, run).exception)


def test_an_exported_adapter_is_small_whole_and_without_places(run, base, tmp_path, monkeypatch):
    out = tmp_path / "tiny"
    told = lamlam("export", run, out, "--name", "someone/tiny", "--accept", "ab" * 32)
    assert told.exit_code == 0, told.output
    record = json.loads((out / "base.json").read_text())
    assert record["model"] == "someone/tiny"
    assert record["digests"] == [*Base.load(run).digests, "ab" * 32]
    assert yaml.safe_load((out / "recipe.yaml").read_text())["model"]["path"] == "someone/tiny"
    assert "license: apache-2.0" in (out / "README.md").read_text()
    assert not any(str(base).encode() in path.read_bytes() for path in out.iterdir())
    shown = lamlam("generate", out, "Ada", "--max-tokens", 5, "--base", base, "--kb", run / "kb.sqlite")
    assert shown.exit_code == 0, shown.output
    monkeypatch.setattr(pretrained, "snapshot_download", lambda name, **_: str(base))
    assert model_digest(Checkpoint.load(out).model) == model_digest(Checkpoint.load(run).model)


def test_only_an_adapter_is_exported(trained_run, tmp_path):
    with pytest.raises(InputError, match="has no adapter"):
        export_adapter(trained_run, tmp_path / "out", name="someone/tiny", license="mit")
    assert not (tmp_path / "out").exists()
