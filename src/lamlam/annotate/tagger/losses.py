"""What a tagger's training makes small: how surprising tags, entities and relations of the gold are to it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lamlam.annotate.tagger.examples import Batch
from lamlam.annotate.tagger.model import TAGS, TaggerModel
from lamlam.vocab import IGNORE_INDEX

__all__ = ["TaggerLosses", "losses"]


class TaggerLosses(NamedTuple):
    """Mean losses of a batch: of tags over tokens, of entities over values named before, of relations over values."""

    tags: Tensor
    entities: Tensor
    relations: Tensor


def losses(model: TaggerModel, batch: Batch, softness: float) -> TaggerLosses:
    """The losses of a batch. A part of which the batch has no example is 0.

    The target of a relation is spread over all names, by their likeness to the gold's: those that mean the same are not
    wrong. `softness` says how far.
    """
    hidden, tags = model(batch.ids, batch.mask, batch.shapes, batch.source)
    of_tags = nn.functional.cross_entropy(
        tags.float().reshape(-1, len(TAGS)), batch.tags.reshape(-1), ignore_index=IGNORE_INDEX
    )
    nothing = of_tags.new_zeros(())
    if not len(batch.pairs.span):
        return TaggerLosses(of_tags, nothing, nothing)
    values = model.spans(hidden, batch.spans)
    scores = model.entities(hidden, values, batch.pairs).float()
    every = _log_sum_exp(scores, batch.pairs.span, len(batch.spans))
    right = _log_sum_exp(scores.masked_fill(~batch.right, -1e4), batch.pairs.span, len(batch.spans))
    named = torch.zeros(len(batch.spans), dtype=torch.bool, device=scores.device)
    named[batch.pairs.span[batch.right]] = True
    of_entities = (every - right)[named].mean() if named.any() else nothing
    best = _best(scores.detach() + 1e3 * batch.right, batch.pairs.span, len(batch.spans))
    known = (best >= 0) & (batch.relation >= 0)
    if not known.any():
        return TaggerLosses(of_tags, of_entities, nothing)
    entities = batch.pairs.candidate[best[known]]
    likely = model.relations(hidden, values[known], batch.spans[known], entities).float()
    alike = model.names[batch.relation[known]] @ model.names.T
    target = (alike / softness).softmax(dim=-1)
    return TaggerLosses(of_tags, of_entities, nn.functional.cross_entropy(likely, target))


def _log_sum_exp(scores: Tensor, group: Tensor, groups: int) -> Tensor:
    """The logarithm of the sum of the exponentials of each group's scores [groups]."""
    most = scores.new_full((groups,), -1e4).scatter_reduce(0, group, scores.detach(), "amax")
    sums = scores.new_zeros(groups).index_add(0, group, (scores - most[group]).exp())
    return sums.clamp_min(1e-30).log() + most


def _best(scores: Tensor, group: Tensor, groups: int) -> Tensor:
    """The index of each group's greatest score [groups]; -1 for a group without one."""
    most = scores.new_full((groups,), -torch.inf).scatter_reduce(0, group, scores, "amax")
    index = torch.where(scores == most[group], torch.arange(len(scores), device=scores.device), -1)
    return torch.full((groups,), -1, device=scores.device).scatter_reduce(0, group, index, "amax")
