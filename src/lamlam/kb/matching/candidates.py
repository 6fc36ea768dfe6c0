"""The relations of an entity as candidates for what a lookup means: their evidence gathered from the facts."""

from collections.abc import Sequence
from functools import cached_property

from lamlam.kb.matching.features import Evidence
from lamlam.kb.matching.matcher import Matcher, stored_matcher
from lamlam.kb.matching.pairs import SEEN_OFTEN
from lamlam.kb.matching.phrase import parse
from lamlam.kb.names import normalise
from lamlam.kb.reader import Name, Reader
from lamlam.kb.similarity import relation_key

__all__ = ["Candidates"]

_MOST = 64
_SELDOM_SAME, _MOSTLY_SAME = 0.1, 0.9
_VALUES_READ = 4
_VALUES_ELSEWHERE = 8


class Candidates:
    """Of an entity, for one relation that is asked for; of very many relations only those with the most in common."""

    def __init__(self, reader: Reader, entity: int, held: Sequence[Name], asked: str) -> None:
        self._reader, self._entity, self._asked = reader, entity, asked
        self._held = held if len(held) <= _MOST else _likeliest(held, asked)

    def likelihoods(self) -> dict[Name, float]:
        """How likely each relation is meant: by its name, or by an alias of it."""
        spelled = self._reader.spellings(self._held)
        named = [(name, spelling) for name in self._held for spelling in spelled[name]]
        evidence = self.evidence()
        chances = self._matcher().likelihoods(self._asked, [(spelling, evidence[n]) for n, spelling in named])
        likely: dict[Name, float] = {}
        for (name, _), chance in zip(named, chances, strict=True):
            likely[name] = max(likely.get(name, 0.0), chance)
        return {name: self._seen_together(name, chance) for name, chance in likely.items()}

    def evidence(self) -> dict[Name, Evidence]:
        """The values of each, and those that the name asked for has with others."""
        usual = self._reader.values_elsewhere(self._known, self._entity, _VALUES_ELSEWHERE)
        return {name: Evidence(self._values.get(name.id, ()), usual) for name in self._held}

    def _matcher(self) -> Matcher:
        """The one that calibration left in the knowledge base, else the one that comes along."""
        return stored_matcher(self._reader.setting("matcher"))

    def agree(self, a: Name, b: Name) -> bool:
        """Whether two of the relations have the same words, or state a value in common: either may be meant then."""
        if relation_key(a.name) == relation_key(b.name):
            return True
        return not {normalise(v) for v in self._values[a.id]}.isdisjoint(normalise(v) for v in self._values[b.id])

    def _seen_together(self, name: Name, chance: float) -> float:
        """Corrected by the entities that were seen to have both relations: two that mostly differ are two.

        Two that mostly state the same need less likeness in their names.
        """
        shared, apart = self._pairs.get(name.id, (0, 0))
        if shared + apart < SEEN_OFTEN:
            return chance
        share = shared / (shared + apart)
        if share <= _SELDOM_SAME:
            return 0.0
        return max(chance, share) if share >= _MOSTLY_SAME else chance

    @cached_property
    def _known(self) -> list[int]:
        return [row.id for row in self._reader.relations_spelled(self._asked)]

    @cached_property
    def _pairs(self) -> dict[int, tuple[int, int]]:
        return self._reader.relation_pairs(self._known, [name.id for name in self._held])

    @cached_property
    def _values(self) -> dict[int, list[str]]:
        return self._reader.values_held(self._entity, [name.id for name in self._held], _VALUES_READ)


def _likeliest(held: Sequence[Name], asked: str) -> list[Name]:
    """Those that share the most words, or the beginnings of words, with what is asked for."""
    wanted = set(parse(asked).core)
    ranked = sorted(held, key=lambda name: (-len(wanted & set(parse(name.name).core)), name.id))
    return sorted(ranked[:_MOST])
