"""Embeddings for the tokens that a vocabulary adds to those of a pretrained model."""

from typing import cast

import torch
from transformers import PreTrainedModel

from lamlam.vocab import Vocabulary

__all__ = ["grow"]


def grow(model: PreTrainedModel, vocabulary: Vocabulary, known: int) -> None:
    """Give a model an embedding for each token of `vocabulary`, whose first `known` it has been trained with.

    The others start as the mean of those (Hewitt, 2021: the model's distribution over the old tokens stays almost as
    it was). Its configuration names the vocabulary's BOS, EOS and PAD.
    """
    known = min(known, _embeddings(model).num_embeddings)  # a tokenizer may name tokens that no embedding was made for
    if len(vocabulary) > _embeddings(model).num_embeddings:
        model.resize_token_embeddings(len(vocabulary), mean_resizing=False)
    # Some models have rows to spare, which no token ever trained: a new token may fall on one of them.
    for weight in (_embeddings(model).weight, model.get_output_embeddings().weight):
        with torch.no_grad():
            weight[known : len(vocabulary)] = weight[:known].mean(0)
    for config in (model.config, model.generation_config):
        config.bos_token_id, config.eos_token_id = vocabulary.bos_id, vocabulary.eos_id
        config.pad_token_id = vocabulary.pad_id


def _embeddings(model: PreTrainedModel) -> torch.nn.Embedding:
    return cast(torch.nn.Embedding, model.get_input_embeddings())
