"""What is known of common words: vectors, rarity, nearest words, the answers they ask for, and words of one meaning.

`experiments/word_table.py` makes the table of vectors from a sentence encoder and WordNet; it is read when the first
word is asked for. `thesaurus.txt` is general English, written from no knowledge base, and deliberately coarse: it
proposes, and the classifier weighs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import log1p

import numpy as np

__all__ = [
    "ANSWERS",
    "IDIOMS",
    "LIGHT",
    "SAME",
    "answer_of",
    "is_word",
    "nearness",
    "phrase_vector",
    "rarity",
    "word_vector",
]

# Turns of phrase, and the word that they stand for.
IDIOMS = {
    "line of work": "occupation", "also known as": "alias", "also called": "alias", "other name": "alias",
    "alternative name": "alias", "alternate name": "alias", "claim to fame": "fame", "known for": "fame",
    "famous for": "fame", "noted for": "fame", "remembered for": "fame", "how long": "length", "how far": "distance",
    "far from": "distance from", "how tall": "height", "how high": "height", "how old": "age", "how big": "size",
    "how large": "size", "how heavy": "weight", "how deep": "depth", "how wide": "width", "how fast": "speed",
    "how many": "number of", "how often": "frequency", "how much": "amount", "passed away": "died",
    "above sea level": "elevation", "took place": "place", "takes place": "place", "taken over by": "acquired by",
    "made up of": "components", "composed of": "components", "consists of": "components", "member of": "affiliation",
    "belongs to": "affiliation", "part of": "affiliation", "in charge": "leader", "located in": "location",
    "situated in": "location", "length of time": "duration", "time span": "duration", "time period": "period",
    "time frame": "period", "came from": "origin", "comes from": "origin", "comes after": "successor",
    "comes before": "predecessor", "came after": "predecessor", "came before": "successor", "going by": "named",
    "head of": "leader", "grew up in": "raised", "brought up in": "raised", "sea level": "elevation",
    "year of age": "age", "native place": "birthplace", "job title": "position", "geographic location": "location",
    "geographical location": "location", "geographic position": "location", "first name": "given name",
}  # fmt: skip

# What a word says about the answer that is wanted. A word of `LIGHT` says nothing else.
_ASKING = {
    "date": "date year day when time month century decade era period inception",
    "place": "place location where site city town country region birthplace deathplace residence headquarters venue "
    "locality state province district county headquartered located destination hometown homeland situated lies burial",
    "person": "who founder author writer director composer producer designer architect owner leader president father "
    "mother spouse wife husband son daughter brother sister king queen ruler successor predecessor coach manager "
    "chairman ceo inventor discoverer editor actor singer artist creator teacher mentor governor mayor minister "
    "captain commander child parent sibling translator illustrator builder developer name",
    "number": "number count total amount many population percentage percent area length height width depth weight "
    "speed distance age cost price budget revenue size elevation altitude score points goals appearances caps "
    "capacity duration rate rating rank density quantity inhabitants attendance temperature proportion share",
}
ANSWERS = {kind: frozenset(words.split()) for kind, words in _ASKING.items()}
# fmt: off
LIGHT = frozenset((
    "date", "year", "day", "when", "time", "month", "place", "location", "where", "number", "count", "total", "amount",
    "many", "name", "who", "by", "in", "on", "at", "as", "for", "with", "which", "what", "s",
))
# fmt: on
_ANSWERS = {18: "person", 15: "place", 28: "date", 23: "number"}  # WordNet's fields of nouns


def _same() -> dict[str, str]:
    """Return each word of the thesaurus, with the word that stands for its meaning."""
    lines = files("lamlam.kb.matching").joinpath("thesaurus.txt").read_text(encoding="utf-8").splitlines()
    words: dict[str, str] = {}
    for meaning in (line.split() for line in lines if not line.startswith("#")):
        for word in meaning:
            words.setdefault(word, meaning[0])
    return words


SAME = _same()


@dataclass(frozen=True, slots=True)
class _Table:
    """Words to rows, the most frequent first; of the first W, vectors of length 1 [W, D] and fields [W]; near pairs."""

    rows: dict[str, int]
    vectors: np.ndarray
    links: dict[tuple[int, int], float]
    fields: np.ndarray


@lru_cache(maxsize=1)
def _table() -> _Table:
    with files("lamlam.kb.matching").joinpath("words.npz").open("rb") as file, np.load(file) as stored:
        words = bytes(stored["words"]).decode().split("\n")
        vectors = stored["vectors"].astype(np.float32)
        pairs = zip(map(tuple, stored["links"].tolist()), (stored["strengths"] / 100).tolist(), strict=True)
        links = dict(pairs)
        fields = stored["fields"]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return _Table({word: row for row, word in enumerate(words)}, vectors, links, fields)


def is_word(word: str) -> bool:
    """Whether it is one of the common words, names among them."""
    return word in _table().rows


@lru_cache(maxsize=20_000)
def word_vector(word: str) -> np.ndarray | None:
    """Return the vector of a word [D]; None for an unknown one."""
    table = _table()
    row = table.rows.get(word)
    return None if row is None or row >= len(table.vectors) else table.vectors[row]


@lru_cache(maxsize=20_000)
def rarity(word: str) -> float:
    """Return how much a word says, from 0.3 for the most frequent ones to 1.0 for unknown ones."""
    table = _table()
    rank = table.rows.get(word)
    return 1.0 if rank is None else min(1.0, 0.3 + 0.7 * log1p(rank) / log1p(len(table.vectors)))


@lru_cache(maxsize=50_000)
def nearness(a: str, b: str) -> float:
    """Return how near two words are in meaning by WordNet, from 0.0 to 1.0; 1.0 for forms of one word."""
    if a == b:
        return 1.0
    rows = _table().rows
    first, second = rows.get(a), rows.get(b)
    if first is None or second is None:
        return 0.0
    return _table().links.get((min(first, second), max(first, second)), 0.0)


def answer_of(word: str) -> str:
    """Return which kind of answer a noun asks for: "person", "place", "date", "number", or "" for another or none."""
    table = _table()
    row = table.rows.get(word)
    return "" if row is None or row >= len(table.fields) else _ANSWERS.get(int(table.fields[row]), "")


@lru_cache(maxsize=20_000)
def phrase_vector(words: Sequence[str]) -> np.ndarray | None:
    """Return the mean of the words' vectors by rarity, of length 1 [D]; None if none has one."""
    weighted = [vector * rarity(word) for word in words if (vector := word_vector(word)) is not None]
    if not weighted:
        return None
    total: np.ndarray = np.sum(weighted, axis=0)
    length = float(np.linalg.norm(total))
    return total / length if length else None
