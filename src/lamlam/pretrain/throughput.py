"""How much of a device's arithmetic a run puts to use.

A token costs 6 N floating-point operations for a model with N multiplying weights (forward 2, backward 4; Kaplan et
al., arXiv 2001.08361), and 6 L T H for the attention of L layers of width H over a row of T tokens: half of PaLM's
12 L T H (arXiv 2204.02311, appendix B), since a causal row has half the pairs. Document boundaries leave fewer still,
and recomputed activations are no use: neither counts.
"""

from typing import cast

import torch
from transformers import PreTrainedModel

__all__ = ["Throughput"]

# Dense bfloat16 operations a second, from the vendor's data sheets; longer names first.
_PEAKS = (
    ("H100 PCIe", 756e12),
    ("H100 NVL", 835e12),
    ("H100", 989e12),
    ("H200", 989e12),
    ("A100", 312e12),
)


class Throughput:
    """Operations a token of a model, over the peak of the devices that train it. `peak` is None where unknown."""

    def __init__(self, model: PreTrainedModel, context: int, *, devices: int = 1, bf16: bool = True) -> None:
        config = model.config
        width = config.num_attention_heads * (getattr(config, "head_dim", None) or _head_size(config))
        self.flops_a_token = 6 * _multiplying(model) + 6 * config.num_hidden_layers * context * width
        name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
        one = next((peak for known, peak in _PEAKS if known in name), None) if bf16 else None
        self.device, self.peak = name or "cpu", one and one * devices

    def figures(self, tokens: int, seconds: float) -> dict[str, float | None]:
        """`tokens_per_second`, and `utilisation`: the share of the peak, None where the peak is unknown."""
        rate = tokens / seconds
        used = round(rate * self.flops_a_token / self.peak, 4) if self.peak else None
        return {"tokens_per_second": round(rate, 1), "utilisation": used}


def _head_size(config: object) -> int:
    return int(config.hidden_size // config.num_attention_heads)  # type: ignore[attr-defined]


def _multiplying(model: PreTrainedModel) -> int:
    """All weights but tables that are only looked up: positions, and token embeddings that are not the head as well."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    head = cast(torch.nn.Linear, model.get_output_embeddings()).weight
    return sum(p.numel() for p in model.parameters() if id(p) not in tables or p is head)
