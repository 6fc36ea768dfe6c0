"""What matching learns from: questions mined from facts, tables of rewordings, and pairs of relations.

What must not be answered: a relation of the entity that is hidden, one of another entity, one with a telling word
changed. A question is left out if its label could be wrong: if another relation has the same value, the same words, or
the same meaning by a table. What must be answered: relations asked for by another name of such a table, or by a
rearrangement of their own words. Pairs are counted over a sample of the entities, whatever the size.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from pathlib import Path

from lamlam.corpus.lines import read_text
from lamlam.errors import InputError
from lamlam.kb.database import Database
from lamlam.kb.fact import Fact
from lamlam.kb.matching.features import Evidence, kind_of_value
from lamlam.kb.names import normalise
from lamlam.kb.similarity import OPPOSITES, relation_key

__all__ = ["SEEN_OFTEN", "Meaning", "Mine", "Question", "count_pairs", "read_rewordings", "sampled_entities"]

SEEN_OFTEN = 5
_FACTS_READ = 200
_RELATIONS_PAIRED = 40
_MOST_PAIRS = 2_000_000
_KINDS = {"date": {"date", "year"}, "place": {"name"}, "number": {"number", "year"}}
_VALUES_KEPT = 8
_VALUES_READ = 4
_HIDDEN_AN_ENTITY = 3
_SWAPS = {word: other for pair in OPPOSITES for word, other in (tuple(pair), tuple(pair)[::-1])}
_PREPOSITIONS = frozenset(("in", "by", "from", "to"))


def sampled_entities(database: Database, most: int, seed: int) -> list[int]:
    """Return ids of entities, all or about `most` of them, in order."""
    last = int(database.scalar("SELECT max(id) FROM entity") or 0)
    if last <= most:
        return [row[0] for row in database.rows("SELECT id FROM entity ORDER BY id")]
    drawn = sorted(random.Random(seed).sample(range(1, last + 1), most))
    return [number for number in drawn if database.one("SELECT 1 FROM entity WHERE id = ?", (number,))]


def count_pairs(database: Database, most_entities: int, seed: int = 0) -> int:
    """Fill the table `relation_pair` again; return how many pairs it has. Works in an open transaction."""
    shared: Counter[tuple[int, int]] = Counter()
    apart: Counter[tuple[int, int]] = Counter()
    sql = f"SELECT relation, value FROM fact WHERE entity = ? AND until = 0 LIMIT {_FACTS_READ}"
    for entity in sampled_entities(database, most_entities, seed):
        values: dict[int, set[str]] = {}
        for relation, value in database.rows(sql, (entity,)):
            values.setdefault(relation, set()).add(normalise(value))
        for pair in combinations(sorted(values)[:_RELATIONS_PAIRED], 2):
            (apart if values[pair[0]].isdisjoint(values[pair[1]]) else shared)[pair] += 1
        if len(apart) > _MOST_PAIRS:
            apart = Counter({pair: count for pair, count in apart.items() if count > 1 or pair in shared})
    kept = [pair for pair in apart.keys() | shared.keys() if shared[pair] + apart[pair] >= SEEN_OFTEN]
    database.run("DELETE FROM relation_pair")
    rows = ((a, b, shared[pair], apart[pair]) for pair in sorted(kept) for a, b in (pair, pair[::-1]))
    database.many("INSERT INTO relation_pair (a, b, shared, apart) VALUES (?, ?, ?, ?)", rows)
    return len(kept)


@dataclass(frozen=True, slots=True)
class Meaning:
    """Normalised names that mean the same; `kind` limits them to facts with such a value."""

    names: tuple[str, ...]
    kind: str = ""

    def holds_for(self, value: str) -> bool:
        return not self.kind or kind_of_value(value) in _KINDS[self.kind]


def read_rewordings(path: str | Path) -> list[Meaning]:
    """Read a table of names of relations that mean the same: a meaning a line, its names separated by bars.

    `date:` or `place:` in front says that the meaning holds only for facts with such a value: "Founded In" is a date or
    a place. Lines that begin with # are remarks. Raises `InputError` if a line has fewer than two names, or an unknown
    kind of value.
    """
    meanings = []
    for number, line in enumerate(read_text(Path(path)).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        kind, _, names = line.rpartition(": ")
        if kind and kind not in _KINDS:
            raise InputError(f"unknown kind of value '{kind}'; use {', '.join(_KINDS)}", path=path, line=number)
        synonyms = tuple(dict.fromkeys(filter(None, map(normalise, names.split("|")))))
        if len(synonyms) < 2:
            raise InputError("needs two names or more, separated by |", path=path, line=number)
        meanings.append(Meaning(synonyms, kind))
    return meanings


@dataclass(frozen=True, slots=True)
class Question:
    """`meant` is the place in `held` of the relation that is asked for; None if there is none."""

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
        """Yield questions about all entities, in their order."""
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
                alone = norm in meaning.names and sum(other in norms for other in meaning.names) == 1
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
    """Return the relations of one entity with their values; names with the same normal form count as one."""
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
    """Yield a relation with a number, an opposite or its closing preposition changed."""
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
    """Yield the name with its words in another order: Birth Year, Year of Birth; Number of Seats, Seats Number."""
    words = relation.split()
    if len(words) == 2 and not re.search(r"\d", relation) and words[-1].casefold() not in _PREPOSITIONS:
        yield f"{words[1]} of {words[0]}"
    if len(words) == 3 and words[1] == "of":
        yield f"{words[2]} {words[0]}"
