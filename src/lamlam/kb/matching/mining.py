"""Questions with known answers, mined from a knowledge base: for training the classifier and for calibrating it.

What must not be answered: a relation of the entity that is hidden, one of another entity, one with a telling word
changed. A question is left out where its label could be wrong: where another relation has the same value, the same
words, or the same meaning by a table. What must be answered: relations asked for by another name of such a table, or by
a rearrangement of their own words.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from lamlam.kb.fact import Fact
from lamlam.kb.lexicon import OPPOSITES
from lamlam.kb.matching.features import Evidence
from lamlam.kb.matching.rewordings import Meaning
from lamlam.kb.names import normalise
from lamlam.kb.similarity import relation_key

__all__ = ["Mine", "Question"]

_VALUES_KEPT = 8
_VALUES_READ = 4
_HIDDEN_AN_ENTITY = 3
_SWAPS = {word: other for pair in OPPOSITES for word, other in (tuple(pair), tuple(pair)[::-1])}
_PREPOSITIONS = frozenset(("in", "by", "from", "to"))


@dataclass(frozen=True, slots=True)
class Question:
    """`meant` is the place in `held` of the relation that is asked for; None where there is none."""

    entity: str
    asked: str
    held: Sequence[tuple[str, Evidence]]
    meant: int | None = None
    kind: str = ""


@dataclass(slots=True)
class Mine:
    """Facts in the order of their entities, the table of meanings, and what was seen of each relation so far."""

    facts: Iterable[Fact]
    meanings: Sequence[Meaning] = ()
    seed: int = 0
    _usual: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def questions(self) -> Iterator[Question]:
        """Over all entities, in their order."""
        entities = [(entity, _relations(facts)) for entity, facts in groupby(self.facts, key=lambda fact: fact.entity)]
        for _, relations in entities:
            for name, values in relations.items():
                kept = self._usual[normalise(name)]
                kept += values[: _VALUES_KEPT - len(kept)]
        pool = [name for _, relations in entities for name in relations]
        for entity, relations in entities:
            rng = random.Random(f"{self.seed}:{entity}")
            yield from self._unanswerable(entity, relations, rng, pool)
            yield from self._reworded(entity, relations)

    def _unanswerable(
        self, entity: str, relations: Mapping[str, list[str]], rng: random.Random, pool: Sequence[str]
    ) -> Iterator[Question]:
        names = list(relations)
        for hidden in rng.sample(names, min(len(names), _HIDDEN_AN_ENTITY)) if len(names) > 1 else ():
            left = {name: values for name, values in relations.items() if name != hidden}
            if not any(self._same(hidden, name) or _stated(relations[hidden], left[name]) for name in left):
                yield self._question(entity, hidden, left, kind="hidden")
        foreign = rng.choice(pool)
        if not any(self._same(foreign, name) for name in relations):
            yield self._question(entity, foreign, relations, kind="foreign")
        for name in names:
            for changed in _altered(name):
                if not any(self._same(changed, other) or _akin(changed, other) for other in relations if other != name):
                    yield self._question(entity, changed, relations, kind="altered")

    def _reworded(self, entity: str, relations: Mapping[str, list[str]]) -> Iterator[Question]:
        norms = {normalise(name) for name in relations}
        for at, (name, values) in enumerate(relations.items()):
            norm = normalise(name)
            for meaning in self.meanings:
                alone = norm in meaning.names and sum(each in norms for each in meaning.names) == 1
                if alone and all(map(meaning.holds_for, values)):
                    others = [other for other in meaning.names if other != norm]
                    yield from (self._question(entity, other, relations, at, "reworded") for other in others)
            for other in _rearranged(name):
                if normalise(other) not in norms:
                    yield self._question(entity, other, relations, at, "rearranged")

    def _question(
        self, entity: str, asked: str, relations: Mapping[str, list[str]], meant: int | None = None, kind: str = ""
    ) -> Question:
        own = {value for values in relations.values() for value in values}
        usual = [value for value in self._usual.get(normalise(asked), ()) if value not in own]
        held = [(name, Evidence(values[:_VALUES_READ], usual)) for name, values in relations.items()]
        return Question(entity, asked, held, meant, kind)

    def _same(self, a: str, b: str) -> bool:
        a, b = normalise(a), normalise(b)
        if a == b or relation_key(a) == relation_key(b):
            return True
        return any(a in meaning.names and b in meaning.names for meaning in self.meanings)


def _relations(facts: Iterable[Fact]) -> dict[str, list[str]]:
    """The relations of one entity with their values; names that are the same in normal form count as one."""
    found: dict[str, list[str]] = {}
    spelled: dict[str, str] = {}
    for fact in facts:
        found.setdefault(spelled.setdefault(normalise(fact.relation), fact.relation), []).append(fact.value)
    return found


def _stated(values: Iterable[str], others: Iterable[str]) -> bool:
    """Whether some value is another, or part of it."""
    norms = [normalise(other) for other in others]
    return any(norm in other or other in norm for norm in map(normalise, values) for other in norms)


def _altered(relation: str) -> Iterator[str]:
    """A relation with a number, an opposite or its closing preposition changed."""
    words = relation.split()
    for at, word in enumerate(words):
        low, closing = word.casefold(), at == len(words) - 1
        if word.isdecimal():
            yield " ".join((*words[:at], str(int(word) + 1), *words[at + 1 :]))
        elif low in _SWAPS and (closing or low not in _PREPOSITIONS):
            yield " ".join((*words[:at], _SWAPS[low], *words[at + 1 :]))


def _akin(a: str, b: str) -> bool:
    """Whether a word of four letters or more begins alike in both."""
    first, second = ({word[:4] for word in normalise(name).split() if len(word) > 3} for name in (a, b))
    return bool(first & second)


def _rearranged(relation: str) -> Iterator[str]:
    """The same said with the words in another order: Birth Year, Year of Birth; Number of Seats, Seats Number."""
    words = relation.split()
    if len(words) == 2 and not re.search(r"\d", relation) and words[-1].casefold() not in _PREPOSITIONS:
        yield f"{words[1]} of {words[0]}"
    if len(words) == 3 and words[1] == "of":
        yield f"{words[2]} {words[0]}"
