"""Continued pretraining: any causal checkpoint by path, its embeddings grown by the control tokens it lacks."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lamlam.errors import InputError
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.continuation import load_grown
from lamlam.pretrain.recipe import load_recipe
from lamlam.pretrain.training import pretrain
from lamlam.vocab import CONTROL_TOKENS, Vocabulary

RECIPE = Path(__file__).with_name("small.yaml")
TEXTS = ["Ada Lovelace was born in London.", "Marie Curie was born in Warsaw in 1867."]
STEPS = ["training.tokens=6000", "training.context=64", "training.evaluations=0", "training.optimizer=adamw"]


def plain_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that has never heard of control tokens."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "<s>", "</s>"]
    bpe.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


def foreign(
    folder: Path, family: str, spare: int = 0, dtype: torch.dtype = torch.float32, *, tied: bool | None = None
) -> Path:
    """A tiny checkpoint as others publish them, with `spare` embeddings that no token has."""
    tokenizer = plain_tokenizer()
    size = {"vocab_size": len(tokenizer) + spare} | ({} if tied is None else {"tie_word_embeddings": tied})
    torch.manual_seed(1)
    if family == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=2, n_positions=64, **size))
    else:
        shape = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        model = LlamaForCausalLM(LlamaConfig(max_position_embeddings=64, **shape, **size))
    model.to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_embeddings_grow_by_four_and_old_tokens_keep_their_weights(tmp_path, family):
    path = foreign(tmp_path, family)
    old = len(plain_tokenizer())
    vocabulary = Vocabulary.extend(path)
    model, before = load_grown(path, vocabulary), foreign_model(path)
    rows, rows_before = model.get_input_embeddings().weight, before.get_input_embeddings().weight
    assert len(rows) == len(vocabulary) == old + len(CONTROL_TOKENS)
    assert torch.equal(rows[:old], rows_before)
    ids = torch.tensor([vocabulary.encode("Ada was born in Rome")])
    assert torch.allclose(model(ids).logits[..., :old], before(ids).logits, atol=1e-5)
    assert torch.allclose(model.get_output_embeddings().weight[old:], before.lm_head.weight.mean(0), atol=1e-6)


def foreign_model(path: Path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(path).eval()


def test_a_new_token_on_a_spare_embedding_starts_as_the_mean_too(tmp_path):
    path = foreign(tmp_path, "llama", spare=60)
    vocabulary = Vocabulary.extend(path)
    rows = load_grown(path, vocabulary).get_input_embeddings().weight
    assert len(rows) == len(plain_tokenizer()) + 60
    old = len(plain_tokenizer())
    assert torch.allclose(rows[vocabulary.end_id], rows[:old].mean(0), atol=1e-6)


def test_half_precision_weights_are_trained_in_float32(tmp_path):
    path = foreign(tmp_path, "llama", dtype=torch.bfloat16)
    assert load_grown(path, Vocabulary.extend(path)).dtype == torch.float32


def test_a_foreign_checkpoint_is_trained_further_and_learns(tmp_path):
    base = foreign(tmp_path / "base", "gpt2")
    pretrain(load_recipe(_recipe(tmp_path), [f"model.path={base}", *STEPS]), tmp_path / "run")
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    checkpoint = Checkpoint.load(tmp_path / "run")
    assert len(checkpoint.vocabulary) == len(plain_tokenizer()) + len(CONTROL_TOKENS)
    assert checkpoint.model.config.eos_token_id == checkpoint.vocabulary.eos_id


def test_a_checkpoint_of_ours_goes_on_where_it_ended(tmp_path, trained_run):
    changes = [f"model.path={trained_run}", *STEPS, "training.context=128", "training.learning_rate=1e-5"]
    pretrain(load_recipe(_recipe(tmp_path), changes), tmp_path / "run")
    first, ended = (
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (tmp_path / "run", trained_run)
    )
    last = [line["loss"] for line in ended if "loss" in line][-10:]
    assert first[0]["loss"] < 1.5 * sum(last) / len(last)
    assert (
        Checkpoint.load(tmp_path / "run").vocabulary.control_ids == Checkpoint.load(trained_run).vocabulary.control_ids
    )


def _recipe(folder: Path) -> Path:
    """The small recipe without a shape or a vocabulary."""
    lines = RECIPE.read_text(encoding="utf-8").splitlines()
    start, stop = lines.index("vocabulary:"), lines.index("training:")
    path = folder / "recipe.yaml"
    path.write_text("\n".join(lines[:start] + lines[stop:]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.preset=gpt2-124m"], "shape of its own"),
        (["model.overrides.hidden_size=8"], "shape of its own"),
        (["vocabulary.size=900"], "tokenizer of its own"),
        (["vocabulary.path=x"], "tokenizer of its own"),
    ],
)
def test_a_path_excludes_what_it_brings_along(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        load_recipe(_recipe(tmp_path), ["model.path=x", *changes])


def test_faults_of_a_path_are_told(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        pretrain(load_recipe(_recipe(tmp_path), ["model.path=/nowhere", *STEPS]), tmp_path / "run")
    base = foreign(tmp_path / "base", "gpt2")
    with pytest.raises(InputError, match="its own folder"):
        pretrain(load_recipe(_recipe(tmp_path), [f"model.path={base}", *STEPS]), base)
    with pytest.raises(InputError, match="reads at most 64 tokens"):
        pretrain(
            load_recipe(_recipe(tmp_path), [f"model.path={base}", *STEPS, "training.context=65"]), tmp_path / "run"
        )
