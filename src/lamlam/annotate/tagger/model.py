"""The network: an encoder, and on top of it what marks values, points at entities and names relations.

Shapes: B windows, T tokens, H the encoder's dimensions, S spans, P pairs of a span and a candidate, D the width of the
space of relations, R relations.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lamlam.annotate.tagger.windows import SHAPES

__all__ = ["FEATURES", "TAGS", "Pairs", "TaggerModel"]

TAGS = ("O", "B", "I")
FEATURES = 6
"""What is told of a pair of a span and a candidate beside the words; see `pairs.features`."""


class Pairs(NamedTuple):
    """Pairs of a span and a candidate: the span's number [P], the candidate's tokens [P, 3], features [P, FEATURES]."""

    span: Tensor
    candidate: Tensor
    features: Tensor


class TaggerModel(nn.Module):
    """`sources` are the collections of gold documents whose manner of annotating it has learnt."""

    names: Tensor  # what the encoder makes of the relations' names [R, H], each of length 1

    def __init__(self, encoder: PreTrainedModel, *, sources: int, relations: int, width: int, dropout: float) -> None:
        super().__init__()
        size = encoder.config.hidden_size
        self.encoder = encoder
        self.source = nn.Embedding(sources, size)
        self.shape = nn.Embedding(len(SHAPES), size)
        self.dropout = nn.Dropout(dropout)
        self.tags = nn.Linear(size, len(TAGS))
        self.span = nn.Sequential(nn.Linear(3 * size, size), nn.GELU(), nn.Dropout(dropout))
        self.value_side = nn.Linear(size, width)
        self.entity_side = nn.Linear(3 * size, width)
        self.feature_side = nn.Linear(FEATURES, width)
        self.pointer = nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Linear(width, 1))
        self.meaning = nn.Sequential(nn.Linear(5 * size, size), nn.GELU(), nn.Dropout(dropout), nn.Linear(size, width))
        self.register_buffer("names", torch.zeros(relations, size))
        self.name_side = nn.Linear(size, width)
        self.sharpness = nn.Parameter(torch.tensor(3.0))
        nn.init.zeros_(self.source.weight)
        nn.init.zeros_(self.shape.weight)

    def forward(self, ids: Tensor, mask: Tensor, shapes: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Of ids, mask, shapes [B, T] and sources [B]: what tokens mean [B, T, H], scores of tags [B, T, 3]."""
        embedded = self.encoder.get_input_embeddings()(ids) + self.shape(shapes) + self.source(source)[:, None]
        hidden = self.encoder(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
        return hidden, self.tags(self.dropout(hidden))

    def spans(self, hidden: Tensor, spans: Tensor) -> Tensor:
        """What the tokens of each span mean together [S, H]; `spans` [S, 3] has the window, first and last token."""
        return self.span(self.dropout(_ends_and_middle(hidden, spans)))

    def entities(self, hidden: Tensor, values: Tensor, pairs: Pairs) -> Tensor:
        """How well each candidate is the entity of a value [P]."""
        candidate = self.entity_side(_ends_and_middle(hidden, pairs.candidate))
        joined = self.value_side(values)[pairs.span] + candidate + self.feature_side(pairs.features)
        return self.pointer(joined)[:, 0]

    def relations(self, hidden: Tensor, values: Tensor, spans: Tensor, entities: Tensor) -> Tensor:
        """How near each relation's name is to what a value is to its entity, [S, R]; `entities` like `spans`."""
        context = hidden[spans[:, 0], 0]
        joined = torch.cat([values, _ends_and_middle(hidden, entities), context], dim=-1)
        asked = nn.functional.normalize(self.meaning(joined), dim=-1)
        names = nn.functional.normalize(self.name_side(self.names), dim=-1)
        return asked @ names.T * self.sharpness.exp()


def _ends_and_middle(hidden: Tensor, spans: Tensor) -> Tensor:
    """First token, last token and the mean of all between, for [S, 3] spans: [S, 3 H]."""
    row, first, last = spans.unbind(dim=1)
    sums = nn.functional.pad(hidden.float().cumsum(dim=1), (0, 0, 1, 0))
    mean = (sums[row, last + 1] - sums[row, first]) / (last - first + 1)[:, None]
    return torch.cat([hidden[row, first], hidden[row, last], mean.to(hidden.dtype)], dim=-1)
