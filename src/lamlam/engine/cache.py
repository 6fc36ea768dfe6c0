"""Keys and values of all running sequences, in memory that is kept and used again.

One sequence has one slot, and its token at position p stands in column p of it, whatever the other slots hold. A pass
reads pieces of several rows behind one another, each token once and no padding. To take tokens back is to write over
them.

S slots, H heads, T columns, D head dimension; a pass reads N tokens of B rows, Q of the longest, and sees W columns.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

__all__ = ["Layout", "SlotCache", "use_packed_attention"]

ATTENTION = "lamlam"  # attention of packed rows; without a layout it is the library's own
_COLUMNS_AT_FIRST = 256
_PADDING = 2.0  # rows attend together where that makes of their tokens no more than so many times as many places


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tokens of one pass stand: slot and column of each token [N]; slots and lengths of the rows [B].

    `mask` [B, 1, Q, W] is 0 where a place of a row sees a column, else minus infinity.
    """

    slots: list[int]
    lengths: list[int]
    starts: list[int]
    slot: Tensor
    column: Tensor
    mask: Tensor

    @property
    def width(self) -> int:
        return self.mask.shape[3]

    def rows(self, kept: Tensor) -> Tensor:
        """[S, H, T, D] -> [B, H, W, D], a view where the rows are the first slots in order."""
        in_order = self.slots == list(range(len(self.slots)))
        return (kept[: len(self.slots)] if in_order else kept[self.slots])[:, :, : self.width]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
        """[1, H, N, D] and twice [B, H, W, D] -> [1, N, H, D]: all rows at once, or, of unlike lengths, one by one."""
        longest = self.mask.shape[2]
        if longest == 1:
            return _attend(query.transpose(0, 2), key, value, self.mask, scaling).transpose(0, 2).transpose(1, 2)
        if len(self.slots) * longest <= _PADDING * query.shape[2]:
            row, place = self.slot.new_tensor([(r, p) for r, n in enumerate(self.lengths) for p in range(n)]).T
            grid = query.new_zeros(len(self.slots), query.shape[1], longest, query.shape[3])
            grid[row, :, place] = query[0].transpose(0, 1)
            return _attend(grid, key, value, self.mask, scaling).transpose(1, 2)[row, place][None]
        pieces = []
        for row, piece in enumerate(query.split(self.lengths, dim=2)):
            places, width = piece.shape[2], self.starts[row] + piece.shape[2]
            seen = key[row : row + 1, :, :width], value[row : row + 1, :, :width]
            pieces.append(_attend(piece, *seen, self.mask[row : row + 1, :, :places, :width], scaling))
        return torch.cat(pieces, dim=2).transpose(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float | None) -> Tensor:
    """[B, H, Q, D] each; heads that share keys and values are read as one with more places, so nothing is copied."""
    shared = query.shape[1] // key.shape[1]
    grouped = query.reshape(len(query), key.shape[1], -1, query.shape[3])
    attended = scaled_dot_product_attention(
        grouped, key, value, attn_mask=mask.repeat(1, 1, shared, 1) if shared > 1 else mask, scale=scaling
    )
    return attended.reshape(query.shape)


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    layout: Layout | None = None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    if layout is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    return layout.attend(query, key, value, scaling), None


def use_packed_attention(model: PreTrainedModel) -> None:
    """Let a model attend by the layouts of packed rows; without one, as it does by itself."""
    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    model.set_attn_implementation(ATTENTION)


class _SlotLayer(CacheLayerMixin):
    """One layer's keys and values [S, H, T, D]."""

    is_sliding = False

    def __init__(self, cache: "SlotCache", slots: int) -> None:
        super().__init__()
        self._cache, self._slots = cache, slots

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys, self.values = (
            state.new_zeros(self._slots, state.shape[1], _COLUMNS_AT_FIRST, state.shape[3])
            for state in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Write [1, H, N, D] where the layout says; returns [B, H, W, D]."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        layout = self._cache.layout
        keys, values = (_widened(kept, layout.width) for kept in (self.keys, self.values) if kept is not None)
        self.keys, self.values = keys, values
        for kept, new in ((keys, key_states), (values, value_states)):
            kept[layout.slot, :, layout.column] = new[0].transpose(0, 1).to(kept.dtype)
        return layout.rows(keys), layout.rows(values)

    def move(self, source: int, target: int, columns: int) -> None:
        for kept in (self.keys, self.values):
            if kept is not None:
                kept[target, :, :columns] = kept[source, :, :columns]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._cache.layout.width, 0

    def get_seq_length(self) -> int:
        return 0  # positions are always given

    def get_max_length(self) -> int:
        return -1


def _widened(kept: Tensor, width: int) -> Tensor:
    if width <= kept.shape[2]:
        return kept
    wider = kept.new_zeros(*kept.shape[:2], max(width, 2 * kept.shape[2]), kept.shape[3])
    wider[:, :, : kept.shape[2]] = kept
    return wider


class SlotCache(Cache):
    """A cache for `slots` sequences. `layout` is set to what a pass reads before the model calls `update`."""

    layout: Layout

    def __init__(self, config: PreTrainedConfig, slots: int) -> None:
        self._layers = [_SlotLayer(self, slots) for _ in range(config.get_text_config().num_hidden_layers)]
        super().__init__(layers=list(self._layers))

    def move(self, source: int, target: int, columns: int) -> None:
        """Let the sequence of one slot, of so many tokens, stand in another one."""
        for layer in self._layers:
            layer.move(source, target, columns)
