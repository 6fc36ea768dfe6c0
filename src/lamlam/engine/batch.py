"""The model, and its key-value cache, for the sequences that are decoded together.

B rows of at most Q tokens in one pass, K places whose logits are wanted, W columns of the cache, V the width of the
logits. Rows are aligned on the right, so that the wanted places are the last ones of every row.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lamlam.engine.cache import SlotCache

__all__ = ["Batch"]

_WIDTH_STEP = 32  # the model sees few different shapes


class Batch:
    """Up to `slots` rows of token ids that the model has read."""

    def __init__(self, model: PreTrainedModel, slots: int) -> None:
        self._model, self._device = model, model.device
        self._cache = SlotCache(model.config, slots)
        self.tokens_read = self.passes = 0

    @torch.no_grad()
    def read(self, rows: Sequence[int], pieces: Sequence[Sequence[int]], starts: Sequence[int], wanted: int) -> Tensor:
        """Read a piece of at least one token in each of some rows, from position `starts` on.

        Returns the logits [B, K, V] of the last `wanted` = K places; where a piece is shorter, they mean nothing.
        """
        longest = max(map(len, pieces))
        width = -(-max(start + len(piece) for start, piece in zip(starts, pieces, strict=True)) // _WIDTH_STEP)
        width *= _WIDTH_STEP
        padding = [longest - len(piece) for piece in pieces]
        ids = self._tensor([[0] * pad + list(piece) for pad, piece in zip(padding, pieces, strict=True)])  # [B, Q]
        first = self._tensor([start - pad for start, pad in zip(starts, padding, strict=True)])
        positions = first[:, None] + torch.arange(longest, device=self._device)  # [B, Q]
        blank = torch.arange(longest, device=self._device) < self._tensor(padding)[:, None]
        positions = positions.masked_fill(blank, 0)
        seen = torch.arange(width, device=self._device) <= positions[:, :, None]  # [B, Q, W]
        self._cache.plan(rows, positions.masked_fill(blank, 1 << 30), width)
        self.tokens_read += sum(map(len, pieces))
        self.passes += 1
        output = self._model(
            input_ids=ids,
            attention_mask=seen[:, None],
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=wanted,
        )
        return output.logits[:, -wanted:]

    def move(self, source: int, target: int, columns: int) -> None:
        """Let the row in one slot, of so many tokens, stand in another slot."""
        self._cache.move(source, target, columns)

    def _tensor(self, values: object) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)
