"""Shapes of the models that LamLam pretrains from scratch.

The `gpt2-*` and `llama-*` shapes are the paper's (arXiv 2505.15962, appendix A), `smollm2-*` those of the SmolLM2
release; `nano` learns to look facts up within minutes on two CPU cores, `llama-30m` is between the two.
"""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from lamlam.errors import LamLamError
from lamlam.vocab import Vocabulary

__all__ = ["PRESETS", "build_model"]


def _llama(hidden: int, layers: int, heads: int, ffn: int, context: int, **more: Any) -> dict[str, Any]:
    shape = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "intermediate_size": ffn,
        "max_position_embeddings": context,
        "tie_word_embeddings": False,
        "rms_norm_eps": 1e-5,
    }
    return {"family": "llama"} | shape | more


def _gpt2(hidden: int, layers: int, heads: int) -> dict[str, Any]:
    return {"family": "gpt2", "n_embd": hidden, "n_layer": layers, "n_head": heads, "n_positions": 1024}


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "nano": _llama(192, 4, 6, 512, 512, tie_word_embeddings=True),
    "llama-30m": _llama(512, 8, 8, 1408, 1024, tie_word_embeddings=True),
    "gpt2-124m": _gpt2(768, 12, 12),
    "gpt2-355m": _gpt2(1024, 24, 16),
    "llama-176m": _llama(512, 8, 8, 11008, 4096, head_dim=64),
    "llama-382m": _llama(768, 12, 12, 11008, 4096, head_dim=64),
    "smollm2-135m": _llama(
        576, 30, 9, 1536, 8192, num_key_value_heads=3, tie_word_embeddings=True, rope_parameters={"rope_theta": 1e5}
    ),
    "smollm2-360m": _llama(
        960, 32, 15, 2560, 8192, num_key_value_heads=5, tie_word_embeddings=True, rope_parameters={"rope_theta": 1e5}
    ),
}


def build_model(
    preset: str, vocabulary: Vocabulary, *, seed: int = 0, overrides: Mapping[str, Any] | None = None
) -> PreTrainedModel:
    """A model of the preset's shape with random float32 weights, fixed by `seed`, for the vocabulary's size.

    `overrides` replaces fields of the Hugging Face configuration. Raises `LamLamError` for an unknown preset or field.
    """
    if preset not in PRESETS:
        raise LamLamError(f"unknown preset '{preset}': choose one of {', '.join(PRESETS)}")
    shape = dict(PRESETS[preset])
    family = shape.pop("family")
    unknown = set(overrides or ()) - set(GPT2Config().to_dict() if family == "gpt2" else LlamaConfig().to_dict())
    if unknown:
        raise LamLamError(f"preset '{preset}' has no field {', '.join(sorted(unknown))}")
    shape |= {
        "vocab_size": len(vocabulary),
        "bos_token_id": vocabulary.bos_id,
        "eos_token_id": vocabulary.eos_id,
        "pad_token_id": vocabulary.pad_id,
        **(overrides or {}),
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if family == "gpt2":
            # The mask of the loss leaves no room for dropout's noise in small runs, and the paper trains without it.
            return GPT2LMHeadModel(GPT2Config(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **shape))
        return LlamaForCausalLM(LlamaConfig(**shape))
