"""From gold documents to what a tagger is trained on: tags of tokens, and the entity and relation of each value.

What the gold does not place is not learnt from: where a call's value stands nowhere, the rest of its sentence has no
tags.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lamlam.annotate.spans import value_span
from lamlam.annotate.tagger.inventory import Inventory
from lamlam.annotate.tagger.model import TAGS, Pairs
from lamlam.annotate.tagger.pairs import make_pairs
from lamlam.annotate.tagger.reading import pad
from lamlam.annotate.tagger.windows import Window, Windows
from lamlam.kb.names import normalise
from lamlam.markup import AnnotatedDocument
from lamlam.vocab import IGNORE_INDEX

__all__ = ["Batch", "Example", "examples", "stack"]

_OUTSIDE, _BEGIN, _INSIDE = range(len(TAGS))
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*\s|\n|\Z")


class Value(NamedTuple):
    """A value in a window by its first and last token, the key of its entity, and its relation (-1 where rare)."""

    first: int
    last: int
    entity: str
    relation: int


@dataclass(frozen=True, slots=True)
class Example:
    """A window with its tags; `source` is the number of the collection that it is from."""

    window: Window
    source: int
    tags: list[int]
    values: list[Value]


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples as tensors: ids, mask, shapes and tags [B, T], source [B], spans [S, 3], relation [S], and the pairs.

    `right` [P] tells the pairs whose candidate names the gold's entity.
    """

    ids: Tensor
    mask: Tensor
    shapes: Tensor
    tags: Tensor
    source: Tensor
    spans: Tensor
    relation: Tensor
    pairs: Pairs
    right: Tensor


def examples(
    documents: Sequence[AnnotatedDocument], source: int, windows: Windows, inventory: Inventory
) -> Iterator[Example]:
    """The windows of gold documents of one collection, with what is to be learnt of them."""
    for window in windows.cut(documents):
        document = documents[window.document]
        placed = [(call, value_span(document.text, call.value, call.at)) for call in document.calls]
        tags = [IGNORE_INDEX] * len(window.ids)
        tags[window.body : window.body + len(window.offsets)] = [_OUTSIDE] * len(window.offsets)
        for call, span in placed:
            if span is None:
                end = _SENTENCE_END.search(document.text, call.at)
                _tag(tags, window, call.at, end.end() if end else len(document.text), IGNORE_INDEX, IGNORE_INDEX)
        values = []
        for call, span in placed:
            tokens = window.tokens(*span) if span else None
            if tokens:
                values.append(Value(*tokens, normalise(call.entity), inventory.number(call.relation)))
        for value in sorted(values, key=lambda value: value.first - value.last):  # shorter ones last: they stay whole
            tags[value.first : value.last + 1] = [_BEGIN] + [_INSIDE] * (value.last - value.first)
        yield Example(window, source, tags, values)


def _tag(tags: list[int], window: Window, start: int, end: int, first: int, other: int) -> None:
    inside = [i for i, (a, b) in enumerate(window.offsets, window.body) if a >= start and b <= end]
    for place, index in enumerate(inside):
        tags[index] = other if place else first


def stack(chosen: Sequence[Example], pad_id: int) -> Batch:
    """Examples as one batch."""
    values = [(row, value) for row, example in enumerate(chosen) for value in example.values]
    spans = [(row, value.first, value.last) for row, value in values]
    pairs, candidates = make_pairs([example.window for example in chosen], spans)
    right = [c.name.key == value.entity for (_, value), found in zip(values, candidates, strict=True) for c in found]
    return Batch(
        ids=pad([example.window.ids for example in chosen], pad_id),
        mask=pad([[1] * len(example.window.ids) for example in chosen], 0),
        shapes=pad([example.window.shapes for example in chosen], 0),
        tags=pad([example.tags for example in chosen], IGNORE_INDEX),
        source=torch.tensor([example.source for example in chosen]),
        spans=torch.tensor(spans, dtype=torch.long).reshape(-1, 3),
        relation=torch.tensor([value.relation for _, value in values], dtype=torch.long),
        pairs=pairs,
        right=torch.tensor(right, dtype=torch.bool),
    )
