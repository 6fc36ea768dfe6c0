"""The model and its key-value cache for the sequences that are being decoded together.

B rows, T columns (positions of the cache), V the width of the logits. Every row gains one column a step. Prompts are
padded on the left; padding and tokens that were taken back are masked columns, which no later token attends to.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

__all__ = ["Batch"]


class Batch:
    """Rows of token ids that the model has read."""

    def __init__(self, model: PreTrainedModel, pad_id: int) -> None:
        self._model, self._pad_id = model, pad_id
        self._cache = DynamicCache(config=model.config)
        self._mask = torch.empty(0, 0, dtype=torch.long, device=model.device)  # [B, T]: 1 where a token stands
        self._next = torch.empty(0, dtype=torch.long, device=model.device)  # [B]: position of each row's next token

    def prefill(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Read prompts, none of them empty. Returns the logits [B, V] after each."""
        width = max(map(len, rows))
        ids = self._tensor([[self._pad_id] * (width - len(row)) + list(row) for row in rows])
        self._mask = self._tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        self._next = self._mask.sum(dim=1)
        return self._forward(ids, (self._mask.cumsum(dim=1) - 1).clamp(min=0))

    def read(self, tokens: Sequence[int]) -> Tensor:
        """Read one more token in each row. Returns the logits [B, V] after it."""
        self._mask = torch.cat([self._mask, torch.ones_like(self._mask[:, :1])], dim=1)
        self._next = self._next + 1
        return self._forward(self._tensor([[token] for token in tokens]), self._next[:, None] - 1)

    def take_back(self, row: int, count: int) -> None:
        """Forget the last `count` tokens of a row, all of them read one by one since its prompt."""
        if count:
            self._mask[row, -count:] = 0
            self._next[row] -= count

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""
        index = self._tensor(rows)
        self._cache.batch_select_indices(index)
        self._mask, self._next = self._mask[index], self._next[index]

    @torch.no_grad()
    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        output = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1]

    def _tensor(self, values: object) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._model.device)
