"""Checkpoints are plain Hugging Face folders, and a bad one is refused with a reason."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from fakes_engine import small_vocabulary
from lamlam.errors import InputError, LamLamError
from lamlam.model.checkpoint import Checkpoint
from lamlam.vocab import Vocabulary

VOCABULARY = small_vocabulary()


def _model(tokens: int = len(VOCABULARY)) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=tokens, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Checkpoint(_model(), VOCABULARY).save(tmp_path / "run")
    return tmp_path / "run"


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    saved = Checkpoint(_model(), VOCABULARY)
    saved.save(tmp_path)
    loaded = Checkpoint.load(tmp_path)
    ids = torch.tensor([VOCABULARY.encode("Ada was born")])
    assert torch.equal(saved.model(ids).logits, loaded.model(ids).logits)
    assert loaded.vocabulary.encode("Ada <|db_end|>") == VOCABULARY.encode("Ada <|db_end|>")
    assert loaded.vocabulary.control_ids == VOCABULARY.control_ids


def test_hugging_face_opens_it(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.vocab_size == len(VOCABULARY)
    assert len(AutoTokenizer.from_pretrained(folder)) == len(VOCABULARY)
    assert not [file for file in folder.iterdir() if file.suffix in {".bin", ".pt", ".pkl"}]


def test_saving_leaves_the_runs_other_files_alone_and_no_stale_weights(folder: Path) -> None:
    (folder / "recipe.yaml").write_text("name: x\n")
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"of an earlier save")
    Checkpoint(_model(), VOCABULARY).save(folder)
    assert (folder / "recipe.yaml").read_text() == "name: x\n"
    assert not (folder / "model-00001-of-00002.safetensors").exists()
    assert not [file for file in folder.iterdir() if file.name.startswith(".")]
    Checkpoint.load(folder)


def test_a_model_smaller_than_the_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LamLamError, match="token embeddings"):
        Checkpoint(_model(len(VOCABULARY) - 1), VOCABULARY)
    _model(len(VOCABULARY) - 1).save_pretrained(tmp_path)
    VOCABULARY.save(tmp_path)
    with pytest.raises(InputError, match=r"token embeddings"):
        Checkpoint.load(tmp_path)


def _drop_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _other_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))


def _without_control_tokens(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    text = json.dumps(tokenizer).replace("<|db_", "<|dc_")
    (folder / "tokenizer.json").write_text(text)
    config = (folder / "tokenizer_config.json").read_text()
    (folder / "tokenizer_config.json").write_text(config.replace("<|db_", "<|dc_"))


def _only_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "config.json").unlink(), r"config\.json"),
        (lambda folder: (folder / "config.json").write_text("{"), r"read"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "no such"}'), r"read"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"no weights"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x01" * 99), r"cannot be read"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), r"tokenizer"),
        (_only_pickle, r"no weights"),
        (_drop_weight, r"do not fit"),
        (_other_shape, r"read|fit"),
        (_without_control_tokens, r"control tokens"),
    ],
)
def test_a_spoilt_folder_is_refused_with_a_reason(folder: Path, spoil: Callable[[Path], object], reason: str) -> None:
    spoil(folder)
    with pytest.raises(InputError, match=reason) as caught:
        Checkpoint.load(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        Checkpoint.load(tmp_path / "nowhere")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        Checkpoint(_model(), VOCABULARY).save(tmp_path / "file")


def test_a_vocabulary_of_another_size_can_be_loaded_with_spare_embeddings(tmp_path: Path) -> None:
    Checkpoint(_model(len(VOCABULARY) + 40), VOCABULARY).save(tmp_path)
    assert isinstance(Checkpoint.load(tmp_path).vocabulary, Vocabulary)
