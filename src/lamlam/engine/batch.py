"""The model, and its key-value cache, for the sequences that are decoded together.

The pieces that a pass reads, of as many tokens as each row has, stand behind one another as one row of tokens: what
the model does to each token alone, which is most of its work, it does to no padding.

N tokens of B rows in one pass, Q of the longest, W columns of the cache, V the width of the logits.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lamlam.engine.cache import Layout, SlotCache, use_packed_attention

__all__ = ["Batch"]

_WIDTH_STEP = 32  # the model sees few different shapes


class Batch:
    """Up to `slots` rows of token ids that the model has read."""

    def __init__(self, model: PreTrainedModel, slots: int) -> None:
        use_packed_attention(model)
        self._model, self._device = model, model.device
        self._cache = SlotCache(model.config, slots)

    @torch.no_grad()
    def read(
        self, slots: Sequence[int], pieces: Sequence[Sequence[int]], starts: Sequence[int], wanted: Sequence[int]
    ) -> Tensor:
        """Read a piece of at least one token in each of some slots, from position `starts` on.

        Returns the logits [sum of wanted, V] of each piece's last `wanted` places, one piece after the other.
        """
        layout = self._cache.layout = self._layout(slots, [len(piece) for piece in pieces], starts)
        ends = accumulate(map(len, pieces))
        places = [place for end, count in zip(ends, wanted, strict=True) for place in range(end - count, end)]
        output = self._model(
            input_ids=self._tensor([token for piece in pieces for token in piece])[None],
            attention_mask=layout.mask,
            position_ids=layout.column[None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=self._tensor(places),
            layout=layout,
        )
        return output.logits[0]

    def move(self, source: int, target: int, columns: int) -> None:
        """Let the row in one slot, of so many tokens, stand in another slot."""
        self._cache.move(source, target, columns)

    def _layout(self, slots: Sequence[int], lengths: Sequence[int], starts: Sequence[int]) -> Layout:
        """Where each token goes, and what each place sees: all columns up to its own."""
        longest = max(lengths)
        width = max(start + length for start, length in zip(starts, lengths, strict=True))
        width += -width % _WIDTH_STEP
        rows = list(zip(slots, lengths, starts, strict=True))
        slot = self._tensor([slot for slot, length, _ in rows for _ in range(length)])
        column = self._tensor([column for _, length, start in rows for column in range(start, start + length)])
        positions = self._tensor(starts)[:, None] + torch.arange(longest, device=self._device)  # [B, Q]
        unseen = torch.arange(width, device=self._device) > positions[:, None, :, None]  # [B, 1, Q, W]
        mask = torch.zeros(unseen.shape, dtype=self._model.dtype, device=self._device)
        mask.masked_fill_(unseen, -torch.inf)
        return Layout(list(slots), list(lengths), list(starts), slot, column, mask)

    def _tensor(self, values: object) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)
