"""An invented knowledge base in the proportions of the paper's: 54.6M facts of 9.5M entities in 8.5M relations.

The paper does not count its values: 24.4M is what Heaps' law, fitted to the 13,168 real triples of its annotators,
gives for 54.6M facts. Facts are spread over entities, relations and values by Zipf laws whose heads are about as heavy
as in these triples; at full size names are as long as theirs (18 characters, 20, 21; 18 for the value of a fact). Every
entity, relation and value occurs; facts come in no order that would help a cache. The same seed gives the same facts,
and any part of them without the rest.
"""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from lamlam.corpus.corpus import FactRecord

__all__ = ["FULL", "Scale", "misspelt"]

FULL = 54_600_000
_ENTITIES, _RELATIONS, _VALUES = 9_500_000 / FULL, 8_500_000 / FULL, 24_400_000 / FULL
_ZIPF = (0.6, 0.95, 0.7)  # exponents of entities, relations and values
_CHUNK = 100_000
_GIVEN, _SURNAMES, _WORDS = 3_000, 60_000, 215
_STEP = 48_271  # prime to all the products below, so that it permutes


class Scale:
    """`facts` facts, and as many entities, relations and values as belong to them."""

    def __init__(self, facts: int = FULL, seed: int = 0) -> None:
        self.facts, self._seed = facts, seed
        self.entities, self.relations, self.values = (
            max(1, round(facts * share)) for share in (_ENTITIES, _RELATIONS, _VALUES)
        )
        rng = random.Random(seed)
        self._given = _invented(rng, _GIVEN, 2, 2)
        self._surnames = _invented(rng, _SURNAMES, 3, 4)
        self._words = _invented(rng, _WORDS, 2, 2)

    def records(self) -> Iterator[FactRecord]:
        for chunk in range(-(-self.facts // _CHUNK)):
            for triple in self._chunk(chunk):
                yield FactRecord(*triple)

    def write(self, path: Path) -> None:
        """As JSON Lines."""
        with path.open("w", encoding="utf-8") as file:
            for chunk in range(-(-self.facts // _CHUNK)):
                file.writelines(
                    json.dumps({"entity": entity, "relation": relation, "value": value}, ensure_ascii=False) + "\n"
                    for entity, relation, value in self._chunk(chunk)
                )

    def sample(self, count: int, seed: int = 1) -> list[tuple[str, str, str]]:
        """Some of the facts, from all over."""
        rng = random.Random(seed)
        chunks = rng.sample(range(-(-self.facts // _CHUNK)), k=min(20, -(-self.facts // _CHUNK)))
        facts = [fact for chunk in chunks for fact in rng.sample(self._chunk(chunk), -(-count // len(chunks)))]
        rng.shuffle(facts)
        return facts[:count]

    def _chunk(self, chunk: int) -> list[tuple[str, str, str]]:
        start = chunk * _CHUNK
        places = np.arange(start, min(start + _CHUNK, self.facts))
        rng = np.random.default_rng((self._seed, chunk))
        kinds = zip((self.entities, self.relations, self.values), _ZIPF, strict=True)
        numbers = [self._drawn(places, size, exponent, rng).tolist() for size, exponent in kinds]
        names: tuple[Callable[[int], str], ...] = (self._entity, self._relation, self._value)
        return list(zip(*(map(name, column) for name, column in zip(names, numbers, strict=True)), strict=True))

    def _drawn(self, places: np.ndarray, size: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
        """For each place a number below `size`: a new one where its turn has come, else one that was there before."""
        before, after = places * size // self.facts, (places + 1) * size // self.facts
        power = 1 - exponent
        top = np.maximum(before, 1).astype(float)
        drawn = (1 + rng.random(len(places)) * (top**power - 1)) ** (1 / power) - 1
        return np.where(after > before, before, np.minimum(drawn.astype(np.int64), top.astype(np.int64) - 1))

    def _entity(self, number: int) -> str:
        place = number * _STEP % (_GIVEN * _SURNAMES)
        return f"{self._given[place % _GIVEN]} {self._surnames[place // _GIVEN]}"

    def _relation(self, number: int) -> str:
        """One word for the most frequent, then two, then three."""
        words, size = self._words, len(self._words)
        if number < size:
            return words[number]
        number -= size
        if number < size**2:
            return f"{words[number % size]} {words[number // size]}"
        number -= size**2
        return f"{words[number % size]} {words[number // size % size]} {words[number // size**2]}"

    def _value(self, number: int) -> str:
        """Short ones for the most frequent; else quantities, names and phrases."""
        if number < self.values // 24:
            return f"{self._words[number % _WORDS]} {number // _WORDS}"
        if number % 3 == 0:
            return f"{number // 3} {self._relation(number % 2_000)}"
        if number % 3 == 1:
            return self._entity(number)
        return f"{self._relation(number % _CHUNK)} {self._surnames[number // _CHUNK]}"


def misspelt(name: str, rng: random.Random) -> str:
    """A name with one slip: a letter dropped, doubled, changed, or swapped with the next."""
    at = rng.randrange(1, len(name) - 1)
    if name[at] == " " or name[at + 1] == " ":
        return misspelt(name, rng)
    slips = (
        name[:at] + name[at + 1 :],
        name[:at] + name[at] + name[at:],
        name[:at] + rng.choice("aeiourstn".replace(name[at], "")) + name[at + 1 :],
        name[:at] + name[at + 1] + name[at] + name[at + 2 :],
    )
    slip = rng.choice(slips)
    return slip if slip != name else misspelt(name, rng)


def _invented(rng: random.Random, count: int, least: int, most: int) -> list[str]:
    """Different words of so many syllables; one in fifty has a letter beyond ASCII."""
    starts = ["B", "Br", "C", "D", "F", "G", "Gr", "H", "J", "K", "L", "M", "N", "P", "R", "S", "St", "T", "V", "W"]
    vowels = ["a", "e", "i", "o", "u", "ea"]
    ends = ["", "", "", "l", "n", "r", "s", "m", "nd"]
    found: dict[str, None] = {}
    while len(found) < count:
        word = "".join(
            rng.choice(starts) + rng.choice(vowels) + rng.choice(ends) for _ in range(rng.randint(least, most))
        ).capitalize()
        found[word.replace("a", "á", 1) if rng.random() < 0.02 else word] = None
    return list(found)
