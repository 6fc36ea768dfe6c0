"""From a query (entity, relation) to facts: the entity first, then the relation among that entity's own.

A lookup is answered by a fact of the entity asked for, in the relation asked for, or by a status that says why not:
never by another entity's value, nor by that of an unlike relation. What was forgotten stays forgotten: a tombstone
comes before any search by likeness. `nearest` does what others do, for comparison.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz.fuzz import ratio

from lamlam.kb.fact import Fact, Resolution, Status
from lamlam.kb.names import normalise
from lamlam.kb.reader import Name, Reader
from lamlam.kb.similarity import name_similarity, relation_key, relation_similarity
from lamlam.kb.tombstones import Tombstones

__all__ = ["Resolver"]

_ENTITY_THRESHOLD = 0.9  # spelled less alike, two names are two entities
_ENTITY_MARGIN = 0.04  # a second entity this close to the best one leaves the choice open
_RELATION_THRESHOLD = 0.85  # reached by relations of the same words only
_RELATION_MARGIN = 0.1  # fillers apart, relations of the same words score alike
_RELATION_DOUBT = 0.6  # from here on a relation is worth naming as what may have been meant
_CANDIDATES = 60
_NEAREST_SLOTS = 2000


@dataclass(frozen=True, slots=True)
class _Match:
    """Entities or relations that a name stands for: one, or those of one meaning, unless the status says otherwise."""

    status: Status
    names: tuple[Name, ...] = ()
    score: float = 1.0


class Resolver:
    """Answers lookups from a reader's view of the facts."""

    def __init__(self, reader: Reader, tombstones: Tombstones) -> None:
        self._reader, self._tombstones = reader, tombstones

    def lookup(self, entity: str, relation: str) -> Resolution:
        """The facts asked for, or an honest status without any."""
        return self._answer(entity, relation, self._reader.slot(entity, relation))

    def lookup_many(self, pairs: Sequence[tuple[str, str]]) -> list[Resolution]:
        """`lookup` for each pair, where the facts that are there as asked for take one statement for all."""
        return [
            self._answer(entity, relation, facts)
            for (entity, relation), facts in zip(pairs, self._reader.slots(pairs), strict=True)
        ]

    def _answer(self, entity: str, relation: str, facts: Sequence[Fact]) -> Resolution:
        if facts:
            return Resolution(entity, relation, Status.EXACT, tuple(facts), 1.0)
        found = self.entity(entity)
        if not found.names or found.status is Status.AMBIGUOUS:
            status = Status.FORGOTTEN if self._slot_forgotten(entity, relation) else found.status
            return _miss(entity, relation, status, found)
        (owner,) = found.names
        match = self._relation(owner, entity, relation)
        if match.status not in (Status.EXACT, Status.ALIAS, Status.FUZZY):
            return _miss(entity, relation, match.status, match)
        answer = self._reader.facts_of(owner.id, [name.id for name in match.names])
        status = max(found.status, match.status, key=_LOOSENESS.index)
        return Resolution(entity, relation, status, tuple(answer), round(found.score * match.score, 4))

    def entity(self, name: str) -> _Match:
        """The entity that a name stands for: by name, by alias, or by a spelling close enough to be no one else's."""
        spelled = self._reader.entities_spelled(name)
        held = [row for row in spelled if self._reader.has_facts(row.id)]
        aliased = [] if held else self._reader.entities_aliased(name)
        for status, names in ((Status.EXACT, held), (Status.ALIAS, aliased), (Status.EXACT, spelled)):
            if names:
                return _Match(status if len(names) == 1 else Status.AMBIGUOUS, tuple(names))
        if self._tombstones.hold(self._tombstones.entity(name)):
            return _Match(Status.FORGOTTEN)
        return self._alike(name)

    def forgotten_entities(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that stood for an entity of which everything was forgotten."""
        if not self._tombstones.any():
            return set()
        digests = {name: self._tombstones.entity(name) for name in names}
        held = self._tombstones.held_of(digests.values())
        return {name for name, digest in digests.items() if digest in held}

    def lessened(self, entity: Name, name: str) -> bool:
        """Whether the entity, also called `name`, lost some fact for good, or all it had in some relation."""
        stones = self._tombstones
        if stones.hold(stones.lessened(entity.name), stones.lessened(name)):
            return True
        held = {relation.id for relation in self._reader.relations_held(entity.id)}
        return any(relation.id not in held for relation in self._reader.relations_ended(entity.id))

    def nearest(self, entity: str, relation: str) -> Resolution:
        """The facts under the most similar "entity relation" string, however unlike: no threshold, no honesty."""
        slots: dict[tuple[int, int], tuple[str, str]] = {}
        for name, _ in self._reader.entities_alike(entity, _CANDIDATES):
            for held in self._reader.relations_held(name.id):
                slots[name.id, held.id] = (name.norm, held.norm)
        slots.update(self._reader.slots_in(relation, _NEAREST_SLOTS))
        if not slots:
            return Resolution(entity, relation, Status.UNKNOWN_ENTITY)
        query = f"{normalise(entity)} {normalise(relation)}"
        scored = {slot: ratio(query, " ".join(names)) / 100 for slot, names in slots.items()}
        best = max(scored, key=lambda slot: (scored[slot], -slot[0], -slot[1]))
        facts = self._reader.facts_of(best[0], [best[1]])
        return Resolution(entity, relation, Status.FUZZY, tuple(facts), round(scored[best], 4))

    def _alike(self, name: str) -> _Match:
        norm = normalise(name)
        scores: dict[Name, float] = {}
        for candidate, spelling in self._reader.entities_alike(name, _CANDIDATES):
            scores[candidate] = max(scores.get(candidate, 0.0), name_similarity(norm, spelling))
        best = max(scores.values(), default=0.0)
        if best < _ENTITY_THRESHOLD:
            return _Match(Status.UNKNOWN_ENTITY, score=0.0)
        close = sorted(candidate for candidate, score in scores.items() if score > best - _ENTITY_MARGIN)
        return _Match(Status.FUZZY if len(close) == 1 else Status.AMBIGUOUS, tuple(close), best)

    def _relation(self, owner: Name, entity: str, relation: str) -> _Match:
        held = self._reader.relations_held(owner.id)
        norm = normalise(relation)
        if exact := [name for name in held if name.norm == norm]:
            return _Match(Status.EXACT, tuple(exact))
        synonyms = self._reader.relation_synonyms(relation)
        if meant := [name for name in held if name.norm in synonyms]:
            one = len({name.norm for name in meant}) == 1
            return _Match(Status.ALIAS if one else Status.AMBIGUOUS, tuple(meant))
        if self._slot_forgotten(entity, relation) or self._slot_forgotten(owner.name, relation):
            return _Match(Status.FORGOTTEN)
        return self._relation_alike(held, relation)

    def _relation_alike(self, held: Iterable[Name], relation: str) -> _Match:
        """By the words of its name or of an alias. Relations of the same words as one another count as one."""
        scores = {
            name: max(relation_similarity(relation, spelling) for spelling in self._reader.relation_names(name))
            for name in held
        }
        best = max(scores.values(), default=0.0)
        least = best - _RELATION_MARGIN if best >= _RELATION_THRESHOLD else _RELATION_DOUBT
        close = tuple(name for name, score in scores.items() if score >= least)
        one = len({relation_key(name.name) for name in close}) == 1
        if best >= _RELATION_THRESHOLD and one:
            return _Match(Status.FUZZY, close, best)
        return _Match(Status.AMBIGUOUS if close else Status.UNKNOWN_RELATION, close, 0.0)

    def _slot_forgotten(self, entity: str, relation: str) -> bool:
        return self._tombstones.hold(*self._tombstones.slots(entity, relation))


_LOOSENESS = (Status.EXACT, Status.ALIAS, Status.FUZZY)


def _miss(entity: str, relation: str, status: Status, match: _Match) -> Resolution:
    candidates = tuple(name.name for name in match.names) if status is Status.AMBIGUOUS else ()
    return Resolution(entity, relation, status, candidates=candidates)
