"""A model to be trained further, from any Hugging Face causal checkpoint: its embeddings grow by the control tokens."""

from pathlib import Path
from typing import cast

import torch
from transformers import PreTrainedModel

from lamlam.model.weights import load_model
from lamlam.vocab import Vocabulary
from lamlam.vocab.fast import fast_tokenizer

__all__ = ["load_grown"]


def load_grown(path: str | Path, vocabulary: Vocabulary) -> PreTrainedModel:
    """The float32 model in a folder, with an embedding for each token of `vocabulary`, which extends its tokenizer.

    A token that the folder's tokenizer lacks starts as the mean of those that it has (Hewitt, 2021: the model's
    distribution over the old tokens stays almost as it was); the others keep their weights. A folder of ours has all
    tokens, and comes as it is. Raises `InputError` when model or tokenizer cannot be read.
    """
    known = len(fast_tokenizer(path))
    model = load_model(path).float()
    if len(vocabulary) > _embeddings(model).num_embeddings:
        model.resize_token_embeddings(len(vocabulary), mean_resizing=False)
    # Some models have rows to spare, which no token ever trained: a new token may fall on one of them.
    for weight in (_embeddings(model).weight, model.get_output_embeddings().weight):
        with torch.no_grad():
            weight[known : len(vocabulary)] = weight[:known].mean(0)
    for config in (model.config, model.generation_config):
        config.bos_token_id, config.eos_token_id = vocabulary.bos_id, vocabulary.eos_id
        config.pad_token_id = vocabulary.pad_id
    return model


def _embeddings(model: PreTrainedModel) -> torch.nn.Embedding:
    return cast(torch.nn.Embedding, model.get_input_embeddings())
