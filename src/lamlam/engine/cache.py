"""Keys and values of all running sequences, in memory that is kept and used again, and attention over them.

One sequence has one slot, and its token at position p stands in column p of it, whatever the other slots hold. A pass
reads pieces of several rows behind one another, each token once and no padding. To take tokens back is to write over
them.

S slots, H heads, T columns, D head dimension; a pass reads N tokens of B rows, Q of the longest, and sees W columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

__all__ = ["Branches", "Layout", "SlotCache", "use_slot_cache"]

ATTENTION = "lamlam"  # attention over a slot cache; without one it is the library's own
_COLUMNS_AT_FIRST = 256
_WIDTH_STEP = 32  # attention sees few different widths
_PADDING = 2.0  # rows attend together where that makes of their tokens no more than so many times as many places


@dataclass(frozen=True, slots=True)
class Branches:
    """The last tokens of a piece as nodes of a tree, whose columns begin at `base`.

    `paths` has the columns, from `base` on, of the nodes that lead to each and of its own: it sees these, and all
    columns before its limit, which is `base` by default.
    """

    base: int
    paths: list[list[int]]
    limits: list[int] | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tokens of one pass stand: slot, column and position of each token [N]; slots, lengths and starts of the
    rows [B].

    `mask` [B, 1, Q, W] is 0 where a place of a row sees a column, else minus infinity. `grid` has row and place of
    each token [N], where the rows attend together.
    """

    slots: list[int]
    lengths: list[int]
    starts: list[int]
    slot: Tensor
    column: Tensor
    position: Tensor
    mask: Tensor
    grid: tuple[Tensor, Tensor] | None

    @classmethod
    def of(
        cls,
        slots: Sequence[int],
        lengths: Sequence[int],
        starts: Sequence[int],
        *,
        dtype: torch.dtype,
        device: torch.device,
        branches: Sequence[Branches | None] = (),
    ) -> "Layout":
        """Pieces of some lengths in some slots, from `starts` on; each place sees all columns up to its own.

        Tokens of a piece's `branches` see what these say, and their positions are limit plus depth.
        """
        longest, tokens = max(lengths), sum(lengths)
        width = max(start + length for start, length in zip(starts, lengths, strict=True))
        width += -width % _WIDTH_STEP
        slot, start, row = torch.tensor([slots, starts, range(len(slots))], device=device).repeat_interleave(
            torch.tensor(lengths, device=device), dim=1, output_size=tokens
        )
        place = torch.tensor([place for length in lengths for place in range(length)], device=device)
        positions = torch.tensor(starts, device=device)[:, None] + torch.arange(longest, device=device)  # [B, Q]
        unseen = torch.arange(width, device=device) > positions[:, None, :, None]  # [B, 1, Q, W]
        column = start + place
        position = column.clone()
        for number, tree in enumerate(branches):
            if tree is not None:
                first, end = lengths[number] - len(tree.paths), sum(lengths[: number + 1])
                limits = torch.tensor(tree.limits or [tree.base] * len(tree.paths), device=device)
                depths = torch.tensor([len(path) - 1 for path in tree.paths], device=device)
                position[end - len(tree.paths) : end] = limits + depths
                unseen[number, 0, first : lengths[number]] = torch.arange(width, device=device) >= limits[:, None]
                seen = [(first + at, tree.base + own) for at, path in enumerate(tree.paths) for own in path]
                unseen[number, 0, *torch.tensor(seen, device=device).T] = False
        mask = torch.zeros(unseen.shape, dtype=dtype, device=device).masked_fill_(unseen, -torch.inf)
        together = longest > 1 and len(slots) * longest <= _PADDING * tokens
        grid = (row, place) if together else None
        return cls(list(slots), list(lengths), list(starts), slot, column, position, mask, grid)

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
        if self.grid is not None:
            rows, place = self.grid
            grid = query.new_zeros(len(self.slots), query.shape[1], longest, query.shape[3])
            grid[rows, :, place] = query[0].transpose(0, 1)
            return _attend(grid, key, value, self.mask, scaling).transpose(1, 2)[rows, place][None]
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


class SlotCache:
    """Keys and values [S, H, T, D] of each layer, for `slots` sequences. `layout` says what the next pass reads.

    `number` is what a compiled model knows it by.
    """

    layout: Layout

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._layers: dict[int, tuple[Tensor, ...]] = {}
        self.number = next(_numbers)
        _caches[self.number] = self

    @classmethod
    def numbered(cls, number: int) -> "SlotCache":
        return _caches[number]

    def keep(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write the keys and values [1, H, N, D] of a pass; returns all that its rows have kept [B, H, W, D]."""
        layout = self.layout
        kept = tuple(_widened(kept, layout.width) for kept in self._layers.get(layer) or map(self._empty, (key, value)))
        self._layers[layer] = kept
        for all_, new in zip(kept, (key, value), strict=True):
            all_[layout.slot, :, layout.column] = new[0].transpose(0, 1)
        return layout.rows(kept[0]), layout.rows(kept[1])

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
        """Keep keys and values, and let the pass attend over all that is kept: [1, H, N, D] each -> [1, N, H, D].

        Where more tokens are given than the layout has, the last ones are padding.
        """
        tokens, given = len(self.layout.slot), query.shape[2]
        query, key, value = (states[:, :, :tokens] for states in (query, key, value))
        attended = self.layout.attend(query, *self.keep(layer, key, value), scaling)
        return pad(attended, (0, 0, 0, 0, 0, given - tokens)) if given > tokens else attended

    def _empty(self, states: Tensor) -> Tensor:
        return states.new_zeros(self._slots, states.shape[1], _COLUMNS_AT_FIRST, states.shape[3])

    def move(self, source: int, target: int, columns: int) -> None:
        """Let the sequence of one slot, of so many tokens, stand in another one."""
        for layer in self._layers.values():
            for kept in layer:
                kept[target, :, :columns] = kept[source, :, :columns]

    def gather(self, slot: int, columns: Sequence[int], start: int) -> None:
        """Let the tokens of some columns of a slot stand one after another, from `start` on."""
        for layer in self._layers.values():
            for kept in layer:
                kept[slot, :, start : start + len(columns)] = kept[slot][:, list(columns)]


def _widened(kept: Tensor, width: int) -> Tensor:
    if width <= kept.shape[2]:
        return kept
    wider = kept.new_zeros(*kept.shape[:2], max(width, 2 * kept.shape[2]), kept.shape[3])
    wider[:, :, : kept.shape[2]] = kept
    return wider


# Attention of the library's models


_numbers = count()
_caches: WeakValueDictionary[int, SlotCache] = WeakValueDictionary()  # an operator can be told a number, no object


@torch.library.custom_op("lamlam::attend", mutates_args=(), tags=(torch.Tag.cudagraph_unsafe,))
def _attend_in_cache(
    query: Tensor, key: Tensor, value: Tensor, cache: int, layer: int, scaling: float | None
) -> Tensor:
    """What a compiler takes as one step, whatever rows a pass reads. It keeps order, as each layer needs the last."""
    return SlotCache.numbered(cache).attend(layer, query, key, value, scaling).contiguous()


@_attend_in_cache.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, cache: int, layer: int, scaling: float | None) -> Tensor:
    return query.new_empty(query.shape[0], query.shape[2], query.shape[1], query.shape[3])


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    slot_cache: int | None = None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    if slot_cache is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    layer: int = module.layer_idx  # type: ignore[assignment]
    if torch.compiler.is_compiling():
        return _attend_in_cache(query, key, value, slot_cache, layer, scaling), None
    return SlotCache.numbered(slot_cache).attend(layer, query, key, value, scaling), None


def use_slot_cache(model: PreTrainedModel) -> None:
    """Let a model attend over the cache whose number it is given; without one, it attends as it does by itself."""
    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    model.set_attn_implementation(ATTENTION)
