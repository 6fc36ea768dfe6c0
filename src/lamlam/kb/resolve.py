"""From a query (entity, relation) to facts: the entity first, then the relation among that entity's own.

A lookup is answered by a fact of the entity asked for, in the relation asked for, or by a status that says why not.
What was forgotten stays forgotten: tombstones are checked before any search by likeness. `nearest` does what others do,
for comparison.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rapidfuzz.fuzz import ratio

from lamlam.kb.fact import Fact, Resolution, Status
from lamlam.kb.names import normalise
from lamlam.kb.reader import FactReader, NameRow
from lamlam.kb.remains import Tombstones
from lamlam.kb.similarity import name_similarity, relation_key, relation_similarity

if TYPE_CHECKING:
    from lamlam.kb.matching.matcher import MatchSettings

__all__ = ["Resolver"]

_SAME_WORDS = 0.85  # reached by relations of the same words only
_CANDIDATES = 60
_NEAREST_SLOTS = 2000
_TRIED = 1000  # relations of a knowledge base that are tried against its tombstones


@dataclass(frozen=True, slots=True)
class _Match:
    """Entities or relations that a name stands for: one, or several that mean the same, unless the status says
    otherwise."""

    status: Status
    names: tuple[NameRow, ...] = ()
    score: float = 1.0


class Resolver:
    """Answers lookups from a reader's view of the facts."""

    def __init__(self, reader: FactReader, tombstones: Tombstones) -> None:
        self._reader, self._tombstones = reader, tombstones

    def lookup(self, entity: str, relation: str) -> Resolution:
        """Return the facts asked for, or an honest status without any."""
        return self._answer(entity, relation, self._reader.slot(entity, relation))

    def lookup_many(self, pairs: Sequence[tuple[str, str]]) -> list[Resolution]:
        """Look up each pair; facts that are there exactly as asked for take one statement for all."""
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
        """Return the entity that a name stands for: by name, by alias, or by a spelling close to just one."""
        names, aliased = self._reader.entities_meant(name)
        if names:
            status = Status.ALIAS if aliased else Status.EXACT
            return _Match(status if len(names) == 1 else Status.AMBIGUOUS, tuple(names))
        if self._tombstones.hold(self._tombstones.entity(name)):
            return _Match(Status.FORGOTTEN)
        return self._alike(name)

    def forgotten_entities(self, names: Iterable[str]) -> set[str]:
        """Return those of `names` that stood for an entity of which everything was forgotten."""
        if not self._tombstones.any():
            return set()
        digests = {name: self._tombstones.entity(name) for name in names}
        held = self._tombstones.held_of(digests.values())
        return {name for name, digest in digests.items() if digest in held}

    def relations_had(self, entity: NameRow, name: str) -> list[NameRow]:
        """Return the relations in which an entity, also called `name`, has or had facts, if they still have a name.

        Empty if that cannot be known: the name of a relation was erased after the entity had lost something, or there
        are too many relations to try them all against the tombstones.
        """
        had = {*self._reader.relations_held(entity.id), *self._reader.relations_held(entity.id, ended=True)}
        tombstones, called = self._tombstones, {entity.name, name}
        lost_since = tombstones.since(*map(tombstones.partly_forgotten, called))
        if lost_since is not None:
            named = self._reader.relations_named(_TRIED + 1)
            if len(named) > _TRIED or tombstones.last_unnamed() >= lost_since:
                return []
            slots = {
                relation: [d for name in called for d in tombstones.slots(name, relation.name)] for relation in named
            }
            held = tombstones.held_of(digest for digests in slots.values() for digest in digests)
            had |= {relation for relation, digests in slots.items() if not held.isdisjoint(digests)}
        return sorted(had)

    def nearest(self, entity: str, relation: str) -> Resolution:
        """Return the facts under the most similar "entity relation" string, however unlike: no threshold, no
        honesty."""
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

    def means(self, entity: int, held: NameRow, asked: str) -> bool:
        """Whether likeness would answer a lookup of an entity in the relation `asked` with one that it has."""
        from lamlam.kb.matching.matcher import Candidates

        likely = Candidates(self._reader, entity, [held], asked).likelihoods()
        return likely[held] >= self.settings().relation

    def _alike(self, name: str) -> _Match:
        norm = normalise(name)
        scores: dict[NameRow, float] = {}
        for candidate, spelling in self._reader.entities_alike(name, _CANDIDATES):
            scores[candidate] = max(scores.get(candidate, 0.0), name_similarity(norm, spelling))
        settings = self.settings()
        best = max(scores.values(), default=0.0)
        if best < settings.entity:
            return _Match(Status.UNKNOWN_ENTITY, score=0.0)
        close = sorted(candidate for candidate, score in scores.items() if score > best - settings.entity_margin)
        return _Match(Status.FUZZY if len(close) == 1 else Status.AMBIGUOUS, tuple(close), best)

    def _relation(self, owner: NameRow, entity: str, relation: str) -> _Match:
        held = self._reader.relations_held(owner.id)
        norm = normalise(relation)
        if exact := [name for name in held if name.norm == norm]:
            return _Match(Status.EXACT, tuple(exact))
        synonyms = self._reader.relation_synonyms(relation)
        if meant := [name for name in held if name.norm in synonyms]:
            return _Match(Status.ALIAS if self._one_meaning(meant) else Status.AMBIGUOUS, tuple(meant))
        if self._slot_forgotten(entity, relation) or self._slot_forgotten(owner.name, relation):
            return _Match(Status.FORGOTTEN)
        if self._ended(owner, norm):
            return _Match(Status.UNKNOWN_RELATION)
        return self._relation_alike(owner, held, relation)

    def _one_meaning(self, meant: Sequence[NameRow]) -> bool:
        """Whether relations that an alias leads to are one name, or declared to be the same among themselves."""
        norms = {name.norm for name in meant}
        return all(norms <= {norm, *self._reader.relation_synonyms(norm)} for norm in norms)

    def _ended(self, owner: NameRow, norm: str) -> bool:
        """Whether the entity's facts in just this relation were retracted: nothing similar stands in for them."""
        return any(name.norm == norm for name in self._reader.relations_held(owner.id, ended=True))

    def _relation_alike(self, owner: NameRow, held: Sequence[NameRow], relation: str) -> _Match:
        """Match by the words of a relation's name or alias, else by meaning; relations of the same words count
        as one."""
        key, spelled = relation_key(relation), self._reader.spellings(held)
        scores = {
            name: max(
                (relation_similarity(relation, form) for form in spelled[name] if relation_key(form) == key),
                default=0,
            )
            for name in held
        }
        same = tuple(name for name, score in scores.items() if score >= _SAME_WORDS)
        if same and len({relation_key(name.name) for name in same}) == 1:
            return _Match(Status.FUZZY, same, scores[same[0]])
        return self._relation_meant(owner, held, relation)

    def _relation_meant(self, owner: NameRow, held: Sequence[NameRow], relation: str) -> _Match:
        from lamlam.kb.matching.matcher import Candidates, decide

        ended = [name for name in self._reader.relations_held(owner.id, ended=True) if name not in held]
        candidates = Candidates(self._reader, owner.id, [*held, *ended], relation)
        likely = candidates.likelihoods()
        names = list(likely)
        close, sure = decide(list(likely.values()), lambda a, b: candidates.agree(names[a], names[b]), self.settings())
        if not close or names[close[0]] in ended:
            return _Match(Status.UNKNOWN_RELATION, score=0.0)
        close = [at for at in close if names[at] in held]
        first = names[close[0]]
        if not sure:
            return _Match(Status.AMBIGUOUS, tuple(sorted(names[at] for at in close)), 0.0)
        meant = tuple(names[at] for at in close if relation_key(names[at].name) == relation_key(first.name))
        return _Match(Status.FUZZY, meant, likely[first])

    def settings(self) -> "MatchSettings":
        """Return the settings that calibration left in the knowledge base, else the defaults."""
        from lamlam.kb.matching.matcher import MatchSettings

        stored = self._reader.setting("matching")
        return MatchSettings() if stored is None else MatchSettings.from_json(stored)

    def _slot_forgotten(self, entity: str, relation: str) -> bool:
        return self._tombstones.hold(*self._tombstones.slots(entity, relation))


_LOOSENESS = (Status.EXACT, Status.ALIAS, Status.FUZZY)


def _miss(entity: str, relation: str, status: Status, match: _Match) -> Resolution:
    candidates = tuple(name.name for name in match.names) if status is Status.AMBIGUOUS else ()
    return Resolution(entity, relation, status, candidates=candidates)
