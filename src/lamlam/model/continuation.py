"""A model to be trained further, from any Hugging Face causal model: with control tokens, whole or by an adapter."""

from pathlib import Path

from transformers import PreTrainedModel

from lamlam.model.adapter import Base, load_whole
from lamlam.model.growth import grow
from lamlam.model.lora import LoraSettings, inject
from lamlam.vocab import Vocabulary
from lamlam.vocab.fast import fast_tokenizer

__all__ = ["load_adaptable", "load_grown"]


def load_grown(source: str | Path, vocabulary: Vocabulary) -> PreTrainedModel:
    """The float32 model of a folder, GGUF file or name on the hub, grown to `vocabulary`, which extends its tokenizer.

    A folder of ours has all tokens, and comes as it is. Raises `InputError` when model or tokenizer cannot be read.
    """
    model = load_whole(source).float()
    grow(model, vocabulary, len(fast_tokenizer(source)))
    return model


def load_adaptable(
    source: str | Path, vocabulary: Vocabulary, settings: LoraSettings, seed: int = 0
) -> tuple[PreTrainedModel, Base]:
    """The same, frozen, with an adapter, fixed by `seed`, and the control tokens' embeddings to train; and its base."""
    model = load_whole(source).float()
    base = Base.of(model, source)
    grow(model, vocabulary, base.tokens)
    inject(model, base.model, settings, sorted(vocabulary.control_ids), seed)
    return model, base
