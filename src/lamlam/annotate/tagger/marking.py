"""From a reading to marks: which words are values, whose, and in which relation."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lamlam.annotate.tagger.decoding import Readiness, Value, values
from lamlam.annotate.tagger.inventory import Inventory
from lamlam.annotate.tagger.model import Pairs, TaggerModel
from lamlam.annotate.tagger.pairs import make_pairs
from lamlam.annotate.tagger.reading import Reading
from lamlam.annotate.tagger.windows import Candidate
from lamlam.kb.names import normalise
from lamlam.markup import AnnotatedDocument

__all__ = ["Mark", "Marker"]


class Mark(NamedTuple):
    """Characters [start, end) of document number `document` that are a value, its entity and their relation."""

    document: int
    start: int
    end: int
    entity: str
    relation: str


class Marker:
    """`usual` is how many calls of the gold a relation needs to be named; where none has as many, all are."""

    def __init__(self, model: TaggerModel, inventory: Inventory, usual: int) -> None:
        self._model, self._names = model, inventory.names
        self._usual = sum(count >= usual for count in inventory.counts) or len(inventory.names)

    @torch.inference_mode()
    def mark(self, documents: Sequence[AnnotatedDocument], reading: Reading, readiness: Readiness) -> Iterator[Mark]:
        """The values in a reading that have an entity named before them."""
        found = list(values(reading, readiness))
        if not found:
            return
        hidden = reading.hidden
        spans = torch.tensor([value[:3] for value in found], device=hidden.device)
        meant = self._model.spans(hidden, spans)
        entities = self._entities(documents, reading, found, meant)
        numbers = [number for number, entity in enumerate(entities) if entity]
        if not numbers:
            return
        kept = torch.tensor(numbers, device=hidden.device)
        chosen = [(found[number], entity) for number, entity in enumerate(entities) if entity]
        named = torch.tensor([(value.window, entity.first, entity.last) for value, entity in chosen]).to(hidden.device)
        likely = self._model.relations(hidden, meant[kept], spans[kept], named)[:, : self._usual]
        for (value, entity), relation in zip(chosen, likely.argmax(dim=1).tolist(), strict=True):
            document = reading.windows[value.window].document
            yield Mark(document, value.start, value.end, entity.name.name, self._names[relation])

    def _entities(
        self, documents: Sequence[AnnotatedDocument], reading: Reading, found: list[Value], meant: Tensor
    ) -> list[Candidate | None]:
        pairs, candidates = make_pairs(reading.windows, [(value.window, value.first, value.last) for value in found])
        pairs = Pairs(*(part.to(meant.device) for part in pairs))
        scores = self._model.entities(reading.hidden, meant, pairs).split([len(each) for each in candidates])
        texts = [documents[reading.windows[value.window].document].text[value.start : value.end] for value in found]
        return [_best(*each) for each in zip(candidates, scores, map(normalise, texts), strict=True)]


def _best(candidates: Sequence[Candidate], scores: Tensor, value: str) -> Candidate | None:
    """The best mention of the name that all its mentions together speak for most; never the value itself."""
    mentions = defaultdict(list)
    for candidate, weight in zip(candidates, scores.softmax(dim=0).tolist(), strict=True):
        if candidate.name.key != value:
            mentions[candidate.name.key].append((weight, candidate))
    if not mentions:
        return None
    name = max(mentions.values(), key=lambda each: sum(weight for weight, _ in each))
    return max(name, key=lambda each: each[0])[1]
