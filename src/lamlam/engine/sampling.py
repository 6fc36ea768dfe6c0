"""Choosing tokens: the likeliest, or one sampled by temperature, top-k and top-p.

B rows of logits, V their width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from lamlam.engine.settings import DecodingSettings

__all__ = ["Sampler"]


class Sampler:
    """Chooses a token for each row; a row's choice depends on that row and its generator alone."""

    def __init__(self, settings: DecodingSettings) -> None:
        self._greedy = settings.temperature == 0
        self._warpers = LogitsProcessorList()
        if not self._greedy:
            self._warpers.append(TemperatureLogitsWarper(float(settings.temperature)))
        if settings.top_k is not None:
            self._warpers.append(TopKLogitsWarper(settings.top_k))
        if settings.top_p is not None:
            self._warpers.append(TopPLogitsWarper(settings.top_p))

    def choose(self, logits: Tensor, allowed: Tensor, generators: Sequence[torch.Generator]) -> list[int]:
        """A token for each row of `logits` [B, V] among those that `allowed` [B, V] (bool) marks."""
        scores = logits.float().masked_fill(~allowed, -torch.inf)
        if self._greedy:
            return scores.argmax(dim=-1).tolist()
        # Only differences count; with the maximum at 0 the smallest temperature overflows nothing.
        scores = scores - scores.amax(dim=-1, keepdim=True)
        no_ids = torch.empty(len(scores), 0, dtype=torch.long, device=scores.device)
        probabilities = self._warpers(no_ids, scores).softmax(dim=-1)  # type: ignore[arg-type]
        return [
            int(torch.multinomial(row, 1, generator=generator))
            for row, generator in zip(probabilities, generators, strict=True)
        ]
