"""What is known of common words: a small vector, how rare it is, its nearest words, and what it stands for as a noun.

The table was made by `experiments/word_table.py` from a sentence encoder and WordNet; words beyond it are strangers. It
is read when the first word is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import log1p

import numpy as np

__all__ = ["answer_of", "is_word", "nearness", "phrase_vector", "rarity", "word_vector"]

_ANSWERS = {18: "person", 15: "place", 28: "date", 23: "number"}  # WordNet's fields of nouns


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
    """The vector of a word [D]; None for a stranger."""
    table = _table()
    row = table.rows.get(word)
    return None if row is None or row >= len(table.vectors) else table.vectors[row]


@lru_cache(maxsize=20_000)
def rarity(word: str) -> float:
    """How much a word tells, from 0.3 for the most frequent ones to 1.0 for strangers."""
    table = _table()
    rank = table.rows.get(word)
    return 1.0 if rank is None else min(1.0, 0.3 + 0.7 * log1p(rank) / log1p(len(table.vectors)))


@lru_cache(maxsize=50_000)
def nearness(a: str, b: str) -> float:
    """How near two words are in meaning by WordNet, from 0.0 to 1.0; 1.0 for forms of one word."""
    if a == b:
        return 1.0
    rows = _table().rows
    first, second = rows.get(a), rows.get(b)
    if first is None or second is None:
        return 0.0
    return _table().links.get((min(first, second), max(first, second)), 0.0)


def answer_of(word: str) -> str:
    """Which kind of answer a noun asks for: "person", "place", "date", "number", or "" for another or none."""
    table = _table()
    row = table.rows.get(word)
    return "" if row is None or row >= len(table.fields) else _ANSWERS.get(int(table.fields[row]), "")


@lru_cache(maxsize=20_000)
def phrase_vector(words: Sequence[str]) -> np.ndarray | None:
    """The mean of the words' vectors by rarity, of length 1 [D]; None where none has one."""
    weighted = [vector * rarity(word) for word in words if (vector := word_vector(word)) is not None]
    if not weighted:
        return None
    total: np.ndarray = np.sum(weighted, axis=0)
    length = float(np.linalg.norm(total))
    return total / length if length else None
