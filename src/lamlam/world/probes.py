"""Prompts with known answers, spread over how often training text states the fact."""

from bisect import bisect_right
from collections.abc import Mapping
from random import Random

from lamlam.corpus import Probe
from lamlam.world.narrator import Fact, Narrator
from lamlam.world.population import Population
from lamlam.world.questions import answers_of

__all__ = ["draw_probes"]

_BUCKETS = (1, 2, 3, 5, 9, 17)  # the least number of mentions in each: 1, 2, 3-4, 5-8, 9-16, 17 and more
_INTRODUCED = 0.4  # of the prompts speak of the entity by a pronoun or short name


def draw_probes(
    population: Population, narrator: Narrator, mentions: Mapping[Fact, int], most: int, rng: Random
) -> list[Probe]:
    """At most `most` probes of seen entities, of facts that training text states, and as many of unseen ones.

    `mentions` counts the training documents that state a fact. Seen facts are drawn evenly from buckets of that count.
    """
    unseen = [
        (name, relation)
        for name, facts in population.facts.items()
        if not population.by_name[name].seen
        for relation in facts
    ]
    probes = []
    for group, facts in (
        ("seen", _spread(mentions, most, rng)),
        ("unseen", rng.sample(unseen, min(most, len(unseen)))),
    ):
        for number, (name, relation) in enumerate(facts):
            prompt = narrator.prompt(population.by_name[name], relation, introduced=rng.random() < _INTRODUCED)
            values = population.facts[name][relation]
            count = mentions.get((name, relation), 0)
            probes.append(Probe(f"{group}-{number:04d}", prompt, name, relation, answers_of(values), group, count))
    return probes


def _spread(mentions: Mapping[Fact, int], most: int, rng: Random) -> list[Fact]:
    """Facts drawn in turn from each bucket until there are enough or none is left."""
    buckets: list[list[Fact]] = [[] for _ in _BUCKETS]
    for fact, count in mentions.items():
        buckets[bisect_right(_BUCKETS, count) - 1].append(fact)
    for bucket in buckets:
        rng.shuffle(bucket)
    drawn: list[Fact] = []
    while len(drawn) < most and any(buckets):
        drawn += [bucket.pop() for bucket in buckets if bucket]
    return drawn[:most]
