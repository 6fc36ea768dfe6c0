"""Proposes which names of relations are one: reads the facts, compares, and forms groups without chains.

Nothing is written here. What people make of it is left to `decisions`, how it is shown to `report`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from lamlam.kb.folding.blocks import candidate_pairs
from lamlam.kb.folding.decisions import Folding
from lamlam.kb.folding.inventory import Inventory, Meeting, Pair, Statement
from lamlam.kb.folding.judgement import Decision, Ground, Judge, Judgement, in_order
from lamlam.kb.matching.matcher import Matcher

__all__ = ["Encoder", "Proposal", "propose"]

Encoder = Callable[[Sequence[str]], np.ndarray]
"""Names to unit vectors [N, D], as a sentence encoder makes them."""

_VALUES_SHOWN = 3
_NEAR = 0.85


@dataclass(frozen=True, slots=True)
class Proposal:
    """`names` counts the names of relations that were read, `compared` the pairs that were."""

    foldings: list[Folding] = field(default_factory=list)
    names: int = 0
    compared: int = 0


def propose(
    statements: Callable[[], Iterable[Statement]],
    *,
    matcher: Matcher | None = None,
    encoder: Encoder | None = None,
    seen: Callable[[], None] = lambda: None,
) -> Proposal:
    """What the facts suggest; `statements()` yields (entity, relation, value) of each, those of an entity together.

    `encoder` decides on pairs that are alike by their words and would else be left to a person. `seen` is called once a
    pair that is compared.
    """
    inventory = Inventory(statements)
    inventory.read()
    pairs = candidate_pairs(inventory)
    meetings = inventory.meetings(pairs)
    judge = Judge(matcher)
    judged: dict[Pair, Judgement] = {}
    for a, b in sorted(pairs):
        found = judge.judge(inventory.relations[a], inventory.relations[b], meetings.get((a, b), Meeting()))
        if found is not None:
            judged[a, b] = found
        seen()
    if encoder is not None:
        _encoded(judged, inventory, encoder)
    _unchain(judged)
    foldings = [_folding(inventory, pair, found, meetings.get(pair, Meeting())) for pair, found in judged.items()]
    foldings.sort(key=lambda each: (-sum(each.facts), each.into, each.name))
    return Proposal(foldings, len(inventory.relations), len(pairs))


def _encoded(judged: dict[Pair, Judgement], inventory: Inventory, encoder: Encoder) -> None:
    """Accept what is alike by its words where an encoder finds it near as well."""
    doubtful = [pair for pair, found in judged.items() if found.ground is Ground.ALIKE]
    if not doubtful:
        return
    names = sorted({norm for pair in doubtful for norm in pair})
    vectors = dict(zip(names, encoder([inventory.relations[norm].name.lower() for norm in names]), strict=True))
    for a, b in doubtful:
        if float(vectors[a] @ vectors[b]) >= _NEAR and in_order(a, b):
            judged[a, b] = Judgement(Decision.ACCEPT, Ground.ENCODER, judged[a, b].likelihood)


def _unchain(judged: dict[Pair, Judgement]) -> None:
    """Leave pending what would join names that are not themselves accepted as one: A and B, B and C, but not A and C.

    The surest pairs are joined first; a pair joins two groups only where all their names are accepted pairwise.
    """
    groups: dict[str, set[str]] = {}
    accepted = [pair for pair, found in judged.items() if found.decision is Decision.ACCEPT]
    for a, b in sorted(accepted, key=lambda pair: (-judged[pair].likelihood, pair)):
        first, second = groups.setdefault(a, {a}), groups.setdefault(b, {b})
        if first is second:
            continue
        if all(_accepted(judged, x, y) for x, y in product(first, second)):
            first |= second
            groups.update(dict.fromkeys(second, first))
    for a, b in accepted:
        if groups[a] is not groups[b]:
            judged[a, b] = Judgement(Decision.PENDING, Ground.CHAIN, judged[a, b].likelihood)


def _accepted(judged: dict[Pair, Judgement], a: str, b: str) -> bool:
    found = judged.get((min(a, b), max(a, b)))
    return found is not None and found.decision is Decision.ACCEPT


def _folding(inventory: Inventory, pair: Pair, found: Judgement, meeting: Meeting) -> Folding:
    """The rarer of two names into the commoner."""
    into, name = sorted((inventory.relations[norm] for norm in pair), key=lambda each: (-each.facts, each.name))
    return Folding(
        name=name.name,
        into=into.name,
        decision=found.decision,
        ground=found.ground.value,
        likelihood=round(found.likelihood, 3),
        facts=(name.facts, into.facts),
        shared=meeting.shared,
        apart=meeting.apart,
        values=(tuple(name.values[:_VALUES_SHOWN]), tuple(into.values[:_VALUES_SHOWN])),
    )
