"""What an audit forgets: facts, how each is asked about, and which of them may be forgotten together."""

import random
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from lamlam.corpus import Probe
from lamlam.kb.names import normalise

__all__ = ["PARTS", "Proposition", "Target", "batches_apart", "neighbours_of"]

PARTS = ("entity", "relation", "value")
Proposition = tuple[str, str, str]
"""Entity, relation, value."""


@dataclass(frozen=True, slots=True)
class Target:
    """A fact and its questions; the group of a question says how it is worded.

    `same` are propositions that state the same under other names. With `by_hand` each of them is forgotten too, as one
    would whose knowledge base knows of no aliases; without it that is left to the knowledge base.
    """

    entity: str
    relation: str
    value: str
    questions: tuple[Probe, ...]
    same: frozenset[Proposition] = frozenset()
    by_hand: bool = False

    @property
    def proposition(self) -> Proposition:
        return self.entity, self.relation, self.value

    @property
    def to_forget(self) -> list[Proposition]:
        """What is forgotten, in the order in which it is."""
        return [self.proposition, *sorted(self.same - {self.proposition} if self.by_hand else ())]

    @property
    def gone(self) -> frozenset[Proposition]:
        """What must not be known once the target is forgotten."""
        return self.same | {self.proposition}

    def parts(self) -> dict[str, str]:
        """Entity, relation and value, as names are compared."""
        return dict(zip(PARTS, map(normalise, self.proposition), strict=True))


def batches_apart(targets: Iterable[Target], rng: random.Random) -> list[list[Target]]:
    """Targets in batches within which no two share an entity, a relation or a value.

    What is measured of one is then what it would be if it were forgotten alone: none of a batch is the nearest
    neighbour of another, and none is needed to answer another's questions.
    """
    batches: list[list[Target]] = []
    used: list[set[tuple[str, str]]] = []
    waiting = list(targets)
    rng.shuffle(waiting)
    for target in waiting:
        parts = set(target.parts().items())
        place = next((number for number, taken in enumerate(used) if not taken & parts), len(batches))
        if place == len(batches):
            batches.append([])
            used.append(set())
        batches[place].append(target)
        used[place] |= parts
    return batches


def neighbours_of(
    batch: Sequence[Target], pool: Sequence[Target], each: int, rng: random.Random
) -> list[tuple[Target, frozenset[str]]]:
    """Others of `pool` that share an entity, a relation or a value with one of the batch, and which of these.

    At most `each` are drawn for a target and a part. What the batch's targets state themselves, in any names, is none.
    """
    gone: Set[Proposition] = {proposition for target in batch for proposition in target.gone}
    others = {other.proposition: other for other in pool if other.proposition not in gone}
    parts = {proposition: other.parts() for proposition, other in others.items()}
    drawn: dict[Proposition, set[str]] = {}
    for target in batch:
        for part, name in target.parts().items():
            sharing = [proposition for proposition in others if parts[proposition][part] == name]
            for proposition in rng.sample(sharing, min(each, len(sharing))):
                drawn.setdefault(proposition, set()).add(part)
    return [(others[proposition], frozenset(shared)) for proposition, shared in drawn.items()]
