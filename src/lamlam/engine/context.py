"""How many tokens a model can read with the engine's cache, by its configuration."""

from transformers import PreTrainedConfig

from lamlam.errors import LamLamError

__all__ = ["context_of"]


def context_of(config: PreTrainedConfig) -> int:
    """The most tokens of one sequence.

    The engine tells a model itself what each token attends to: all before it. A layer that attends to a window or a
    chunk of the last tokens alone does the same within the first window, and no further. Raises `LamLamError` where
    the layers are not of attention.
    """
    text = config.get_text_config()
    kinds: set[str] = set(getattr(text, "layer_types", None) or ())
    other = sorted(kind for kind in kinds if not kind.endswith("_attention") or kind.startswith("linear"))
    if other:
        raise LamLamError(f"models with layers of {', '.join(other)} cannot be decoded")
    limits: list[int] = [text.max_position_embeddings]
    for name, kind in (("sliding_window", "sliding_attention"), ("attention_chunk_size", "chunked_attention")):
        length = getattr(text, name, None)
        if length is not None and (not kinds or kind in kinds):
            limits.append(length)
    return min(limits)
