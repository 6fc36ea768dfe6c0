"""A language model that is small enough for any test, and knows nothing."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lamlam.vocab import Vocabulary


def tiny_llama(vocabulary: Vocabulary, *, context: int = 64, layers: int = 1) -> LlamaForCausalLM:
    """Random weights, the same each time."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=context,
    )
    return LlamaForCausalLM(config)
