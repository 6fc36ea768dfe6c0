"""A base model in any form, adapted: trained, saved, opened with its base, and refused with another."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from lamlam.errors import InputError
from transformers import AutoModelForCausalLM

from lamlam.model.adapter import save_adapter
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.continuation import load_adaptable, load_grown
from lamlam.model.lora import LoraSettings
from lamlam.pretrain.recipe import load_recipe
from lamlam.pretrain.training import pretrain
from lamlam.vocab import Vocabulary
from test_continuation import STEPS, _recipe, foreign

LORA = ["training.lora.rank=4", "training.learning_rate=1e-2"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return foreign(tmp_path_factory.mktemp("bases") / "base", "llama")


@pytest.fixture(scope="module")
def run(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    pretrain(load_recipe(_recipe(folder.parent), [f"model.path={base}", *STEPS, *LORA]), folder)
    return folder


def test_a_run_leaves_an_adapter_that_has_learnt(run):
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    names = {path.name for path in run.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "base.json", "tokenizer.json"} <= names
    assert not names & {"config.json", "model.safetensors", "state"}


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
    ids = torch.tensor([[*vocabulary.control_ids, *vocabulary.encode("Ada was born in Rome")]])
    opened = Checkpoint.load(folder).model
    assert type(opened) is type(AutoModelForCausalLM.from_pretrained(source))
    assert torch.allclose(opened(ids).logits, model.eval()(ids).logits, atol=1e-5)
    assert not torch.allclose(opened(ids).logits, load_grown(source, vocabulary)(ids).logits, atol=1e-2)
