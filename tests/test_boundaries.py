"""Documents that share a row know nothing of each other, whichever way the model computes attention."""

from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel, masking_utils

from lamlam.model.presets import build_model
from lamlam.pretrain import kernels
from lamlam.pretrain.kernels import DOCUMENTS, document_lengths
from lamlam.pretrain.packing import PackedFile, pack
from lamlam.vocab import Encoded, Kind, Vocabulary

LENGTHS = (9, 14, 5, 20, 7, 11)
SHAPES = {
    "nano": {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    | {"num_key_value_heads": 2},
    "smollm2-135m": {"hidden_size": 36, "intermediate_size": 32, "num_hidden_layers": 2},
    "gpt2-124m": {"n_embd": 32, "n_layer": 2, "n_head": 2},
}


def model_of(preset: str) -> PreTrainedModel:
    """A tiny model in training mode, as the Trainer sets it up: without a cache, which would switch the mask off."""
    model = build_model(preset, Vocabulary.train(["a b c"], 300), seed=1, overrides=SHAPES[preset])
    model.config.use_cache = False
    return model.train()


@pytest.fixture
def documents() -> list[Encoded]:
    generator = torch.Generator().manual_seed(0)
    bodies = [torch.randint(10, 250, (length,), generator=generator).tolist() for length in LENGTHS]
    return [Encoded([1, *body, 2], [Kind.BOS, *[Kind.TEXT] * len(body), Kind.EOS]) for body in bodies]


def packed_logits(model: Callable, packed: PackedFile) -> torch.Tensor:
    """Logits [B, T, V] of all rows in one batch, as the Trainer gives them to the model."""
    rows = [packed[row] for row in range(len(packed))]
    batch = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
    return model(**batch).logits


def difference(model: PreTrainedModel, documents: list[Encoded], packed: PackedFile, run: Callable) -> float:
    """The largest difference between a document's logits in its row and alone."""
    logits, worst = packed_logits(run, packed), 0.0
    for document in documents:
        alone = model(input_ids=torch.tensor([document.ids])).logits[0]
        row, start = next(
            (row, start)
            for row in range(len(packed))
            for start in range(packed.meta["context"])
            if packed.ids[row, start : start + len(document.ids)].tolist() == document.ids
        )
        worst = max(worst, (logits[row, start : start + len(document.ids)] - alone).abs().max().item())
    return worst


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("preset", sorted(SHAPES))
def test_a_packed_document_has_the_logits_that_it_has_alone(tmp_path, documents, preset, attention):
    model = model_of(preset)
    model.set_attn_implementation(attention)
    packed = pack(documents, tmp_path, context=48, pad_id=0)
    assert len(packed) > 1
    assert difference(model, documents, packed, model) < 1e-5


@pytest.mark.parametrize("longest", [512, 12])
@pytest.mark.parametrize("preset", sorted(SHAPES))
def test_attention_by_document_has_the_logits_and_gradients_of_a_mask(
    tmp_path, documents, preset, longest, monkeypatch
):
    monkeypatch.setattr(kernels, "_LONGEST", longest)
    model = model_of(preset)
    packed = pack(documents, tmp_path, context=48, pad_id=0)
    plain = _gradient(model, packed)
    model.set_attn_implementation(DOCUMENTS)
    lengths = document_lengths(torch.stack([packed[row]["position_ids"] for row in range(len(packed))]))
    assert sorted(lengths)[: len(LENGTHS)] != sorted(lengths)  # padding is a document as well

    def run(**batch):
        return model(**batch, documents=lengths)

    assert difference(model, documents, packed, run) < 1e-5
    model.zero_grad()
    packed_logits(run, packed).logsumexp(-1).sum().backward()
    assert torch.allclose(next(model.parameters()).grad, plain, atol=1e-5)


@pytest.mark.parametrize("preset", ["nano", "gpt2-124m"])
def test_the_same_holds_when_activations_are_computed_twice(tmp_path, documents, preset):
    model = model_of(preset)
    packed = pack(documents, tmp_path, context=48, pad_id=0)
    plain = _gradient(model, packed)
    model.activation_checkpointing_enable({"use_reentrant": False})
    assert difference(model, documents, packed, model) < 1e-5
    assert torch.allclose(_gradient(model, packed), plain, atol=1e-6)


def _gradient(model: PreTrainedModel, packed: PackedFile) -> torch.Tensor:
    model.zero_grad()
    packed_logits(model, packed).logsumexp(-1).sum().backward()
    return next(model.parameters()).grad.clone()


def test_the_same_holds_when_the_model_is_traced_for_compilation(tmp_path, documents):
    model = model_of("nano")
    packed = pack(documents, tmp_path, context=48, pad_id=0)
    traced = torch.compile(model, backend="eager")
    assert difference(model, documents, packed, traced) < 1e-5


def test_flex_attentions_mask_has_the_boundaries_too(tmp_path, documents, monkeypatch):
    """Its mask alone: compiling flex attention takes a minute on a CPU, where it cannot train anyway."""
    monkeypatch.setattr(masking_utils, "create_block_mask", lambda mask_mod, **shape: mask_mod)
    model = model_of("nano")
    model.set_attn_implementation("flex_attention")
    row = pack(documents, tmp_path, context=48, pad_id=0)[0]
    embedded = model.get_input_embeddings()(row["input_ids"][None])
    sees = masking_utils.create_causal_mask(model.config, embedded, None, None, position_ids=row["position_ids"][None])
    document = torch.cumsum(row["position_ids"] == 0, 0)
    query, key = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    wanted = (document[query] == document[key]) & (query >= key)
    assert torch.equal(sees(torch.tensor(0), torch.tensor(0), query, key), wanted)


def test_without_boundaries_a_document_sees_those_before_it(tmp_path, documents):
    model = model_of("nano")
    pack(documents, tmp_path, context=48, pad_id=0)
    packed = PackedFile(tmp_path, boundaries=False)
    assert "position_ids" not in packed[0]
    assert difference(model, documents, packed, model) > 1e-2


def test_a_cache_would_switch_the_boundaries_off(tmp_path, documents):
    """Why the Trainer's `use_cache=False` matters; should this fail one day, it no longer does."""
    model = model_of("nano")
    model.config.use_cache = True
    packed = pack(documents, tmp_path, context=48, pad_id=0)
    assert difference(model, documents, packed, model) > 1e-2
