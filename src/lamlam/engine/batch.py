"""The model, and its key-value cache, for the sequences that are decoded together.

The pieces that a pass reads, of as many tokens as each row has, stand behind one another as one row of tokens: what
the model does to each token alone, which is most of its work, it does to no padding.

N tokens of some rows in one pass, K of them with logits that are wanted, V the width of the logits.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.exc import BackendCompilerFailed
from torch.nn.functional import pad
from transformers import PreTrainedModel

from lamlam.engine.cache import Branches, Layout, SlotCache, use_slot_cache
from lamlam.errors import LamLamError

__all__ = ["Batch"]


class Batch:
    """Up to `slots` rows of token ids that the model has read. With `compile`, the first passes compile the model.

    Raises `LamLamError` where it cannot be compiled.
    """

    def __init__(self, model: PreTrainedModel, slots: int, *, compile: bool = False) -> None:
        use_slot_cache(model)
        self._model, self._device = model, model.device
        self._run = _compiled(model) if compile else model
        self._least = 2 if compile else 1  # a graph for one token would be another one
        self._few_sizes = compile and model.device.type == "cuda"  # each size has a CUDA graph of its own
        self._cache = SlotCache(slots)
        self._no_mask = torch.zeros(1, 1, 1, 1, device=model.device)  # the cache knows what each token sees

    @torch.no_grad()
    def read(
        self,
        slots: Sequence[int],
        pieces: Sequence[Sequence[int]],
        starts: Sequence[int],
        wanted: Sequence[int],
        branches: Sequence[Branches | None] = (),
    ) -> Tensor:
        """Read a piece of at least one token in each of some slots, from column `starts` on.

        The last tokens of a piece may be `branches` of a tree. Returns the logits [sum of wanted, V] of each piece's
        last `wanted` places, one piece after the other.
        """
        lengths = [len(piece) for piece in pieces]
        layout = Layout.of(slots, lengths, starts, dtype=self._model.dtype, device=self._device, branches=branches)
        self._cache.layout = layout
        ends = accumulate(lengths)
        places = [place for end, count in zip(ends, wanted, strict=True) for place in range(end - count, end)]
        try:
            output = self._run(
                input_ids=self._padded(self._tensor([token for piece in pieces for token in piece]))[None],
                attention_mask=self._no_mask,
                position_ids=self._padded(layout.position)[None],
                use_cache=False,
                logits_to_keep=self._padded(self._tensor(places)),
                slot_cache=self._cache.number,
            )
        except BackendCompilerFailed as error:
            raise LamLamError(f"the model cannot be compiled here: {error.inner_exception}") from error
        logits: Tensor = output.logits[0, : len(places)]
        return logits

    def move(self, source: int, target: int, columns: int) -> None:
        """Let the row in one slot, of so many tokens, stand in another slot."""
        self._cache.move(source, target, columns)

    def gather(self, slot: int, columns: Sequence[int], start: int) -> None:
        """Let the tokens of some columns of a slot stand one after another, from `start` on."""
        self._cache.gather(slot, columns, start)

    def _tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, device=self._device)

    def _padded(self, values: Tensor) -> Tensor:
        """[count], with zeros behind to a count that a compiled model takes."""
        count = max(len(values), self._least)
        return pad(values, (0, (_rounded(count) if self._few_sizes else count) - len(values)))


def _rounded(count: int) -> int:
    """The next power of two, or one and a half times the one before."""
    power = 1 << (count - 1).bit_length()
    return power * 3 // 4 if count <= power * 3 // 4 else power


def _compiled(model: PreTrainedModel) -> Callable[..., Any]:
    """One graph for all numbers of tokens; on a GPU its parts between the attentions are recorded as CUDA graphs."""
    options: Any = {"triton.cudagraphs": model.device.type == "cuda"}
    compiled: Callable[..., Any] = torch.compile(model, dynamic=True, options=options)
    return compiled
