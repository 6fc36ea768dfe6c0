"""The queries of the resolution benchmark, and what is true of each.

A query that must not be answered is labelled so by what was not imported, and left out where the label could be wrong:
where the entity has the same value in another relation, or a relation that the table of meanings, or its words, say is
the same.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.resolution.data import COUNTRIES, REWORDINGS, Benchmark, data_folder, hash_share, part_of
from benchmarks.resolution.names import PERTURBATIONS, lookalikes
from lamlam.kb.matching.mining import read_rewordings
from lamlam.kb.names import normalise
from lamlam.kb.similarity import OPPOSITES, relation_words

__all__ = ["Query", "queries"]

_MOST_OF_A_SUBKIND = 400
_PREPOSITIONS = frozenset(("in", "by", "from", "to"))


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked, and the values that are right; none where nothing must be answered."""

    kind: str
    subkind: str
    part: str
    entity: str
    relation: str
    owner: str = ""
    values: frozenset[str] = frozenset()
    target: str = ""


def queries(data: Benchmark, seed: int = 0) -> list[Query]:
    """All of them, in a fixed order."""
    made = [*_as_written(data), *_reworded(data), *_restated(data), *_countries(data)]
    made += [*_left_out(data), *_foreign(data, seed), *_altered(data), *_missing(data)]
    return list(dict.fromkeys(made + _some([*_perturbed(data, seed), *_invented(data, seed)])))


def _some(made: list["Query"]) -> list["Query"]:
    """At most so many of each subkind and part."""
    found: dict[tuple[str, ...], list[Query]] = {}
    for query in sorted(made, key=lambda query: hash_share(f"some:{query.entity}")):
        found.setdefault((query.kind, query.subkind, query.part), []).append(query)
    return [query for part in found.values() for query in part[:_MOST_OF_A_SUBKIND]]


def _slots(data: Benchmark) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Entity, relation as written, values of this relation up to normalisation."""
    for entity, triples in data.held.items():
        for relation in dict.fromkeys(triple[1] for triple in triples):
            same = [v for _, r, v in triples if normalise(r) == normalise(relation)]
            yield entity, relation, frozenset(same)


def _as_written(data: Benchmark) -> Iterator[Query]:
    for entity, relation, values in _slots(data):
        yield Query("as_written", "", part_of(entity), entity, relation, entity, values, relation)


def _perturbed(data: Benchmark, seed: int) -> Iterator[Query]:
    """One relation an entity; each perturbation that can be made of its name."""
    named: dict[str, int] = {}
    for entity in data.held:
        named[normalise(entity)] = named.get(normalise(entity), 0) + 1
    for entity, triples in data.held.items():
        if named[normalise(entity)] > 1:
            continue
        rng = random.Random(f"{seed}:{entity}")
        _, relation, _ = rng.choice(triples)
        values = frozenset(v for _, r, v in triples if normalise(r) == normalise(relation))
        for name, perturb in PERTURBATIONS.items():
            changed = perturb(entity, rng, data.held)
            if (
                changed
                and changed != entity
                and (normalise(changed) not in named or normalise(changed) == normalise(entity))
            ):
                yield Query("perturbed", name, part_of(entity), changed, relation, entity, values, relation)


def _reworded(data: Benchmark) -> Iterator[Query]:
    """Every fact whose relation is in the table, asked for by each other name of its meaning that the entity lacks."""
    meanings = read_rewordings(REWORDINGS)
    for entity, relation, values in _slots(data):
        held = {normalise(r) for _, r, _ in data.held[entity]} | {normalise(r) for _, r, _ in data.left_out[entity]}
        for meaning in meanings:
            names = meaning.names
            if normalise(relation) not in names or not all(map(meaning.holds_for, values)):
                continue
            if sum(name in held for name in names) > 1:
                continue
            part = part_of(entity) if part_of(entity) == part_of(names[0], "meaning") else ""
            for name in names:
                if name not in held:
                    subkind = "occurring" if name in data.origin else "own"
                    yield Query("reworded", subkind, part, entity, name, entity, values, relation)


def _restated(data: Benchmark) -> Iterator[Query]:
    """The same fact under another name that an annotator gave it. All are test: none is trained on."""
    for entity, (asked, target) in data.restated.items():
        values = frozenset(v for _, r, v in data.held[entity] if normalise(r) == target)
        if values:
            yield Query("reworded", "same fact", "test", entity, asked, entity, values, target)


def _countries(data: Benchmark) -> Iterator[Query]:
    """The audit's own other names of relations. All are test, likewise."""
    path = data_folder() / COUNTRIES / "prompts" / "alias" / "cloze.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        prompt = json.loads(line)
        names = [prompt["relation"], *prompt["relation_aliases"]]
        for entity in (prompt["subject"], *prompt["subject_aliases"]):
            for _, relation, value in data.held.get(entity, ()):
                if relation in names:
                    others = (name for name in names if name != relation)
                    right = frozenset((value,))
                    yield from (
                        Query("reworded", "countries", "test", entity, o, entity, right, relation) for o in others
                    )


def _left_out(data: Benchmark) -> Iterator[Query]:
    """What was not imported of entities of which the rest was."""
    for entity, triples in data.left_out.items():
        if not data.held[entity]:
            continue
        for relation in dict.fromkeys(triple[1] for triple in triples):
            if _safe(data, entity, relation):
                near = _near(data, entity, relation)
                yield Query(
                    "absent", f"left out, {'near' if near else 'other'}", part_of(entity), entity, relation, entity
                )


def _safe(data: Benchmark, entity: str, relation: str) -> bool:
    """Whether a relation is surely not among those that the entity has."""
    values = {normalise(v) for _, r, v in data.left_out[entity] if normalise(r) == normalise(relation)}
    return not any(data.same_meaning(relation, r) or _stated(v, values) for _, r, v in data.held[entity])


def _stated(value: str, values: set[str]) -> bool:
    """Whether a value says the same as one of others: it is one, or part of one, or one is part of it."""
    norm = normalise(value)
    return any(norm in other or other in norm for other in values)


def _near(data: Benchmark, entity: str, relation: str) -> bool:
    """Whether a relation shares a word of four letters or more with one that the entity has."""
    words = {word for word in relation_words(relation) if len(word) > 3}
    return any(words & set(relation_words(r)) for _, r, _ in data.held[entity])


def _foreign(data: Benchmark, seed: int) -> Iterator[Query]:
    """A relation of another entity, drawn by its number of facts."""
    pool = [relation for _, relation, _ in _slots(data)]
    for entity in data.held:
        rng = random.Random(f"{seed}:foreign:{entity}")
        relation = rng.choice(pool)
        kept = not any(data.same_meaning(relation, r) for _, r, _ in data.left_out[entity])
        if kept and _safe(data, entity, relation):
            near = _near(data, entity, relation)
            yield Query("absent", f"foreign, {'near' if near else 'other'}", part_of(entity), entity, relation, entity)


def _altered(data: Benchmark) -> Iterator[Query]:
    """A relation of the entity with one telling thing changed: a number, a word for its opposite, a closing "by".

    Left out where another relation of the entity shares a word's beginning with what comes of it: it may mean that one.
    """
    swaps = {word: other for pair in OPPOSITES for word, other in (tuple(pair), tuple(pair)[::-1])}
    for entity, relation, _ in _slots(data):
        words = relation.split()
        others = [r for _, r, _ in data.held[entity] + data.left_out[entity] if normalise(r) != normalise(relation)]
        for at, word in enumerate(words):
            closing = at == len(words) - 1
            if word.isdigit():
                other, name = str(int(word) + 1), "number"
            elif word.casefold() in swaps and (closing or word.casefold() not in _PREPOSITIONS):
                other, name = swaps[word.casefold()], "preposition" if word.casefold() in _PREPOSITIONS else "opposite"
            else:
                continue
            changed = " ".join((*words[:at], other, *words[at + 1 :]))
            beginnings = {word[:4] for word in relation_words(changed) if len(word) > 3}
            if any(beginnings & {word[:4] for word in relation_words(r)} for r in others):
                continue
            if not any(data.same_meaning(changed, r) for _, r, _ in data.held[entity]):
                yield Query("absent", f"altered {name}", part_of(entity), entity, changed, entity)


def _missing(data: Benchmark) -> Iterator[Query]:
    """Entities of which nothing was imported."""
    names = {normalise(entity) for entity in data.held}
    for entity, triples in data.missing.items():
        if normalise(entity) not in names:
            yield Query("absent", "missing entity", part_of(entity), entity, triples[0][1])


def _invented(data: Benchmark, seed: int) -> Iterator[Query]:
    """Names that look like those of entities and are of none."""
    known = {normalise(entity) for entity in (*data.held, *data.missing)}
    for entity, triples in data.held.items():
        rng = random.Random(f"{seed}:invented:{entity}")
        for name, changed in lookalikes(entity, rng, data.held):
            if normalise(changed) not in known:
                yield Query("absent", f"look-alike, {name}", part_of(entity), changed, rng.choice(triples)[1])
