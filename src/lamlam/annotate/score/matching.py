"""Which predicted call answers which call of the gold: one to one, the best pairs first.

Calls are compared by where their values stand. Counting is left to `comparison`.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from lamlam.annotate.score.relations import relation_likeness
from lamlam.kb.names import normalise
from lamlam.markup import Call

__all__ = ["Pair", "PlacedCall", "match"]


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """A call, and the characters [start, end) of the gold's text that state its value."""

    call: Call
    start: int
    end: int


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """How far a predicted call and one of the gold agree; the order of pairs is from the worst to the best."""

    same_span: bool
    overlap: float
    same_entity: bool
    same_relation: bool
    relation: float
    same_value: bool


def match(gold: Sequence[PlacedCall], predicted: Sequence[PlacedCall]) -> list[Pair]:
    """The pairs of calls whose values overlap, best first; a call is in one pair at most."""
    order = sorted(range(len(predicted)), key=lambda at: predicted[at].start)
    starts = [predicted[at].start for at in order]
    longest = max((each.end - each.start for each in predicted), default=0)
    pairs = [
        (_pair(g, predicted[at]), -at_gold, -at)
        for at_gold, g in enumerate(gold)
        for at in order[bisect_left(starts, g.start - longest) : bisect_left(starts, g.end)]
        if g.start < predicted[at].end
    ]
    kept, used_gold, used_predicted = [], set(), set()
    for pair, at_gold, at_predicted in sorted(pairs, reverse=True):
        if at_gold not in used_gold and at_predicted not in used_predicted:
            used_gold.add(at_gold)
            used_predicted.add(at_predicted)
            kept.append(pair)
    return kept


def _pair(gold: PlacedCall, predicted: PlacedCall) -> Pair:
    common = min(gold.end, predicted.end) - max(gold.start, predicted.start)
    whole = max(gold.end, predicted.end) - min(gold.start, predicted.start)
    a, b = gold.call, predicted.call
    return Pair(
        same_span=common == whole,
        overlap=common / whole,
        same_entity=normalise(a.entity) == normalise(b.entity),
        same_relation=normalise(a.relation) == normalise(b.relation),
        relation=relation_likeness(a.relation, b.relation, a.value),
        same_value=normalise(a.value) == normalise(b.value),
    )
