"""Values that could stand in a fact's place: those that other entities have for the same relation."""

import random

from lamlam.evaluate.answers import gives
from lamlam.kb.fact import Fact
from lamlam.kb.store import KnowledgeBase

__all__ = ["Rivals"]

_TRIES = 10


class Rivals:
    """Reads the values of a relation once, as they stand then."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self._kb = kb
        self._values: dict[str, list[str]] = {}

    def of(self, fact: Fact, rng: random.Random) -> str | None:
        """A value that cannot be taken for the fact's own, nor the other way round; None where there is none."""
        if fact.relation not in self._values:
            self._values[fact.relation] = sorted({other.value for other in self._kb.facts(relation=fact.relation)})
        values = self._values[fact.relation]
        for _ in range(_TRIES):  # nearly every value will do, and there may be thousands
            if _unlike(value := rng.choice(values), fact.value):
                return value
        others = [value for value in values if _unlike(value, fact.value)]
        return rng.choice(others) if others else None


def _unlike(new: str, old: str) -> bool:
    return not gives(new, [old]) and not gives(old, [new])
