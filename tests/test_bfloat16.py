"""Weights in bfloat16 with float32 masters train as float32 weights under autocast do."""

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from lamlam.model.lora import LoraSettings, inject
from lamlam.model.presets import build_model
from lamlam.pretrain.kernels import DOCUMENTS
from lamlam.pretrain.optimizer import OnMasters, can_be_rounded, round_weights
from lamlam.vocab import Vocabulary

SHAPE = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_key_value_heads": 2}
SHAPE |= {"num_attention_heads": 4, "head_dim": 16}
IDS = torch.arange(4, 52).reshape(2, 24)


def model_of(preset="smollm2-135m", shape=SHAPE):
    model = build_model(preset, Vocabulary.train(["a b c"], 300), seed=1, overrides=shape)
    model.config.use_cache = False
    model.set_attn_implementation(DOCUMENTS)  # torch's kernel wants queries in the values' type
    return model.train()


def adapted():
    model = model_of()
    torch.manual_seed(2)
    inject(model, "base", LoraSettings(rank=4), [5, 6])
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zeros would hide what goes through it
            nn.init.normal_(parameter, std=0.1)
    return model


def loss_of(model):
    return model(input_ids=IDS, labels=IDS).loss


def test_norms_and_the_residual_stream_stay_in_float32():
    model = model_of()
    round_weights(model)
    streams = []
    for layer in model.model.layers:
        layer.register_forward_hook(lambda module, given, out: streams.append(out.dtype))
    assert loss_of(model).isfinite()
    assert streams == [torch.float32] * 2
    types = {name.rpartition(".")[0].rpartition(".")[2]: p.dtype for name, p in model.named_parameters()}
    assert {name for name, dtype in types.items() if dtype == torch.float32} == {
        "input_layernorm",
        "post_attention_layernorm",
        "norm",
    }


@pytest.mark.parametrize("make", [model_of, adapted])
def test_gradients_are_float32_and_as_near_to_exact_ones_as_autocasts(make):
    exact, cast, rounded = make(), make(), make()
    round_weights(rounded)
    for model in (exact, rounded):
        loss_of(model).backward()
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(cast)
    loss.backward()
    for (name, true), one, other in zip(exact.named_parameters(), cast.parameters(), rounded.parameters(), strict=True):
        if true.requires_grad:
            assert other.grad.dtype == torch.float32, name
            assert error(other, true) < 1.5 * error(one, true) + 0.01, name
        else:
            assert other.grad is None, name


def error(one: nn.Parameter, true: nn.Parameter) -> float:
    return ((one.grad - true.grad).norm() / true.grad.norm()).item()


def test_steps_too_small_for_bfloat16_add_up_in_the_masters():
    weight = nn.Parameter(torch.ones(4).bfloat16())
    master = nn.Parameter(torch.ones(4))
    optimizer = OnMasters({weight: master}, AdamW([master], lr=1e-4, weight_decay=0.0))
    for _ in range(100):
        weight.grad_dtype = torch.float32
        (weight * 1.0).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert torch.allclose(master, torch.full((4,), 0.99), atol=1e-4)
    assert torch.equal(weight, master.bfloat16())


def test_the_state_of_masters_is_saved_and_read():
    made = []
    for value in (1.0, 3.0):
        weight, master = nn.Parameter(torch.full((4,), value).bfloat16()), nn.Parameter(torch.full((4,), value))
        made.append((weight, master, OnMasters({weight: master}, AdamW([master], lr=0.01))))
    (weight, master, optimizer), (other, copy, resumed) = made
    weight.grad_dtype = torch.float32
    weight.sum().backward()
    optimizer.step()
    resumed.load_state_dict(optimizer.state_dict())
    assert torch.equal(copy, master)
    assert torch.equal(other, weight)
    resumed.param_groups[0]["lr"] = 0.5
    assert resumed._optimizer.param_groups[0]["lr"] == 0.5


def test_only_models_with_llamas_norms_are_rounded():
    assert can_be_rounded(model_of())
    assert not can_be_rounded(model_of("gpt2-124m", {"n_embd": 32, "n_layer": 1, "n_head": 2}))


def test_attention_without_documents_is_that_of_padded_texts():
    """As held-out documents are scored between steps."""
    model = model_of()
    model.set_attn_implementation("sdpa")
    before = model(input_ids=IDS).logits
    model.set_attn_implementation(DOCUMENTS)
    mask = torch.ones_like(IDS)
    mask[1, 20:] = 0
    padded = model(input_ids=IDS, attention_mask=mask).logits
    assert torch.allclose(padded[1, :20], before[1, :20], atol=1e-5)
