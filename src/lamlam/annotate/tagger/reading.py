"""Reads documents with a tagger's encoder, window by window."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lamlam.annotate.tagger.windows import Window, Windows
from lamlam.batches import batches
from lamlam.markup import AnnotatedDocument

__all__ = ["Encode", "Reader", "Reading", "pad"]

Encode = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""What `TaggerModel.forward` computes."""

_BATCH = 8  # windows: more gain nothing on a processor


@dataclass(frozen=True, slots=True)
class Reading:
    """Windows of much the same length, as read: `hidden` [B, T, H], log-probabilities of tags `scores` [B, T, 3]."""

    windows: list[Window]
    hidden: Tensor
    scores: np.ndarray


class Reader:
    """Reads in the manner of the gold collection number `source`."""

    def __init__(self, windows: Windows, encode: Encode, source: int, device: torch.device) -> None:
        self._windows, self._encode, self._source, self._device = windows, encode, source, device

    @torch.inference_mode()
    def read(self, documents: Sequence[AnnotatedDocument]) -> Iterator[Reading]:
        """The windows of all documents, short ones first."""
        ordered = sorted(self._windows.cut(documents), key=lambda window: len(window.ids))
        for chosen in batches(ordered, _BATCH):
            ids = pad([window.ids for window in chosen], self._windows.pad_id)
            mask = pad([[1] * len(window.ids) for window in chosen], 0)
            shapes = pad([window.shapes for window in chosen], 0)
            source = torch.full((len(chosen),), self._source)
            hidden, tags = self._encode(*(each.to(self._device) for each in (ids, mask, shapes, source)))
            yield Reading(chosen, hidden.float(), tags.float().log_softmax(dim=-1).cpu().numpy())


def pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Rows of several lengths as one tensor [B, T]."""
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)
