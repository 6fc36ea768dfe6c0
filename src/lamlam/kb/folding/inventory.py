"""The names of relations as a knowledge base uses them: how often, with which values, and beside which others.

Spellings of one normal form are one name, as they are for a lookup. Two passes over the facts, entity by entity; what
is held in memory grows with the names and the pairs that are asked about, not with the facts.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations, groupby

from lamlam.kb.names import normalise

__all__ = ["Inventory", "Meeting", "Pair", "Relation", "Statement"]

Statement = tuple[str, str, str]
Pair = tuple[str, str]

_VALUES_KEPT = 8
_EXAMPLES_KEPT = 3
_MOST_RELATIONS_OF_AN_ENTITY = 200


@dataclass(slots=True)
class Relation:
    """A name in normal form: its spellings with their facts, and the values that the first entities have."""

    spellings: Counter[str] = field(default_factory=Counter)
    values: list[str] = field(default_factory=list)

    @property
    def facts(self) -> int:
        return self.spellings.total()

    @property
    def name(self) -> str:
        """The commonest spelling; of equally common ones the first in order."""
        return min(self.spellings, key=lambda name: (-self.spellings[name], name))


@dataclass(slots=True)
class Meeting:
    """In how many entities two relations share a value, or have values that differ; (entity, value, value) of some."""

    shared: int = 0
    apart: int = 0
    examples: list[Statement] = field(default_factory=list)


@dataclass(slots=True)
class Inventory:
    """`statements()` yields (entity, relation, value) of every fact, those of an entity together."""

    statements: Callable[[], Iterable[Statement]]
    relations: dict[str, Relation] = field(default_factory=dict)
    sharing: Counter[Pair] = field(default_factory=Counter)
    """Pairs of names that have a value in common with some entity, and with how many."""

    def read(self) -> None:
        """The first pass: names, values, and which share values."""
        for _, held in self._entities(count=True):
            by_value: dict[str, set[str]] = defaultdict(set)
            for norm, values in held.items():
                for value in values:
                    by_value[value].add(norm)
            self.sharing.update({pair for norms in by_value.values() for pair in combinations(sorted(norms), 2)})

    def meetings(self, pairs: set[Pair]) -> dict[Pair, Meeting]:
        """The second pass: what the entities that have both names of a pair say."""
        found: dict[Pair, Meeting] = {}
        for entity, held in self._entities(count=False):
            for pair in combinations(sorted(held), 2):
                if pair in pairs:
                    _meet(found.setdefault(pair, Meeting()), entity, *(held[norm] for norm in pair))
        return found

    def _entities(self, *, count: bool) -> Iterator[tuple[str, dict[str, dict[str, str]]]]:
        """Each entity with its names of relations and their values, by normal form; of very many only the first."""
        for entity, statements in groupby(self.statements(), key=lambda statement: statement[0]):
            held: dict[str, dict[str, str]] = {}
            for _, relation, value in statements:
                norm = normalise(relation)
                if count:
                    self._count(norm, relation, value)
                if norm in held or len(held) < _MOST_RELATIONS_OF_AN_ENTITY:
                    held.setdefault(norm, {}).setdefault(normalise(value), value)
            yield entity, held

    def _count(self, norm: str, relation: str, value: str) -> None:
        known = self.relations.get(norm)
        if known is None:
            known = self.relations[norm] = Relation()
        known.spellings[relation] += 1
        if len(known.values) < _VALUES_KEPT and value not in known.values:
            known.values.append(value)


def _meet(meeting: Meeting, entity: str, a: dict[str, str], b: dict[str, str]) -> None:
    common = a.keys() & b.keys()
    if common:
        meeting.shared += 1
    else:
        meeting.apart += 1
    if len(meeting.examples) < _EXAMPLES_KEPT:
        same = min(common, default=None)
        meeting.examples.append((entity, a[same or next(iter(a))], b[same or next(iter(b))]))
