"""Facts retrieved for a prompt, the rivals of lookups: by BM25, by a sentence encoder, and all of the right entity."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lamlam.corpus import FactRecord
from lamlam.corpus.prompts import fact_line
from lamlam.errors import needs_extra
from lamlam.evaluate.arms.encoder import load_encoder
from lamlam.evaluate.arms.prompts import Prompt
from lamlam.kb.names import normalise

__all__ = ["BM25", "AllOfEntity", "Dense", "Retriever", "has_wanted"]


class Retriever(Protocol):
    """Finds facts for prompts, the likeliest first."""

    def retrieve(self, prompts: Sequence[Prompt], most: int) -> list[list[FactRecord]]: ...


def has_wanted(facts: Iterable[FactRecord], prompt: Prompt) -> bool:
    """Whether the fact that a prompt asks for is among those retrieved."""
    entity, relation = normalise(prompt.entity), normalise(prompt.relation)
    return any(
        normalise(fact.entity) == entity and normalise(fact.relation) == relation and fact.value in prompt.answers
        for fact in facts
    )


class BM25:
    """By the words that prompt and fact share (Lucene's BM25, by bm25s)."""

    def __init__(self, facts: Sequence[FactRecord]) -> None:
        self._facts = list(facts)
        self._index = _library().BM25()
        lines = [fact_line(fact) for fact in self._facts]
        self._index.index(_tokens(lines), show_progress=False)

    def retrieve(self, prompts: Sequence[Prompt], most: int) -> list[list[FactRecord]]:
        words = _tokens([prompt.text for prompt in prompts])
        places, _ = self._index.retrieve(words, k=min(most, len(self._facts)), show_progress=False)
        return [[self._facts[place] for place in row] for row in places]


def _library() -> ModuleType:
    with needs_extra("evaluate", "retrieval by BM25"):
        import bm25s
    return bm25s


def _tokens(texts: list[str]) -> Any:
    """Words of one letter or digit too, which tell "Film 3" from "Film 4"."""
    return _library().tokenize(texts, token_pattern=r"(?u)\b\w+\b", stopwords="en", show_progress=False)


class Dense:
    """By the likeness of vectors of MiniLM; those of facts are kept in the folder `cache`, by a digest."""

    def __init__(self, facts: Sequence[FactRecord], cache: Path) -> None:
        self._facts = list(facts)
        self._encode = load_encoder("minilm")
        lines = [fact_line(fact) for fact in self._facts]
        path = cache / f"{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()[:16]}.npy"
        if not path.exists():
            cache.mkdir(parents=True, exist_ok=True)
            np.save(path, self._vectors(lines).astype(np.float16))
        self._matrix: npt.NDArray[np.float32] = np.load(path).astype(np.float32)

    def retrieve(self, prompts: Sequence[Prompt], most: int) -> list[list[FactRecord]]:
        scores = self._vectors([prompt.text for prompt in prompts]) @ self._matrix.T
        most = min(most, len(self._facts))
        best = np.argpartition(-scores, most - 1, axis=1)[:, :most]
        return [
            [self._facts[place] for place in row[np.argsort(-own[row])]] for row, own in zip(best, scores, strict=True)
        ]

    def _vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.asarray(self._encode(texts), dtype=np.float32)


class AllOfEntity:
    """All facts of the prompt's own entity: an upper bound, since it is told which one is meant."""

    def __init__(self, facts: Iterable[FactRecord]) -> None:
        self._of: dict[str, list[FactRecord]] = defaultdict(list)
        for fact in facts:
            self._of[normalise(fact.entity)].append(fact)

    def retrieve(self, prompts: Sequence[Prompt], most: int) -> list[list[FactRecord]]:
        return [self._of[normalise(prompt.entity)][:most] for prompt in prompts]
