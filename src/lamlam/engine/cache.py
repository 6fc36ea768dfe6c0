"""Keys and values of all running sequences, in memory that is kept and used again.

One sequence has one slot, and its token at position p stands in column p of it, whatever the other slots hold: rows may
be read at different positions, and by different numbers of tokens. To take tokens back is to write over them.

S slots, H heads, T columns, D head dimension; B rows of Q tokens in one pass.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.cache_utils import Cache, CacheLayerMixin

__all__ = ["SlotCache"]

_COLUMNS_AT_FIRST = 256


class _Plan:
    """Where the keys and values of one pass go: slots [B], columns [B, Q]; `width` columns are attended to."""

    def __init__(self) -> None:
        self.rows: Tensor = torch.empty(0)
        self.columns: Tensor = torch.empty(0)
        self.all_rows = True  # the rows are the slots 0 to B - 1
        self.width = 0


class _SlotLayer(CacheLayerMixin):
    """One layer's keys and values [S, H, T + 1, D]; what is padding goes into the last column."""

    is_sliding = False

    def __init__(self, plan: _Plan, slots: int) -> None:
        super().__init__()
        self._plan, self._slots = plan, slots

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys, self.values = (
            state.new_zeros(self._slots, state.shape[1], _COLUMNS_AT_FIRST + 1, state.shape[3])
            for state in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Write [B, H, Q, D] where the plan says; returns [B, H, W, D]."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        plan = self._plan
        seen = []
        for name, new in (("keys", key_states), ("values", value_states)):
            kept = getattr(self, name)
            if kept.shape[2] <= plan.width:
                kept = self._widened(kept, plan.width)
                setattr(self, name, kept)
            kept[plan.rows[:, None], :, plan.columns.clamp(max=kept.shape[2] - 1)] = new.transpose(1, 2).to(kept.dtype)
            seen.append((kept[: len(plan.rows)] if plan.all_rows else kept[plan.rows])[:, :, : plan.width])
        return seen[0], seen[1]

    def _widened(self, kept: Tensor, width: int) -> Tensor:
        columns = max(width, 2 * (kept.shape[2] - 1))
        wider = kept.new_zeros(*kept.shape[:2], columns + 1, kept.shape[3])
        wider[:, :, : kept.shape[2] - 1] = kept[:, :, :-1]
        return wider

    def move(self, source: int, target: int, columns: int) -> None:
        for kept in (self.keys, self.values):
            if kept is not None:
                kept[target, :, :columns] = kept[source, :, :columns]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._plan.width, 0

    def get_seq_length(self) -> int:
        return 0  # positions are always given

    def get_max_length(self) -> int:
        return -1


class SlotCache(Cache):
    """A cache for `slots` sequences. Before each pass `plan` says what it reads; the model then calls `update`."""

    def __init__(self, config: PreTrainedConfig, slots: int) -> None:
        self._plan = _Plan()
        self._layers = [_SlotLayer(self._plan, slots) for _ in range(config.get_text_config().num_hidden_layers)]
        super().__init__(layers=list(self._layers))

    def plan(self, rows: Sequence[int], columns: Tensor, width: int) -> None:
        """The next pass reads tokens of the slots `rows`, at `columns` [B, Q]; a column past the last is padding."""
        self._plan.rows = torch.tensor(rows, device=columns.device)
        self._plan.columns, self._plan.width = columns, width
        self._plan.all_rows = list(rows) == list(range(len(rows)))

    def move(self, source: int, target: int, columns: int) -> None:
        """Let the sequence of one slot, of so many tokens, stand in another one."""
        for layer in self._layers:
            layer.move(source, target, columns)
