"""Pairs each value with the names that may be its entity, and tells of each pair what the words do not."""

import math
from collections import Counter

import torch

from lamlam.annotate.tagger.model import FEATURES, Pairs
from lamlam.annotate.tagger.windows import Candidate, Window

__all__ = ["eligible", "make_pairs"]


def eligible(window: Window, start: int) -> list[Candidate]:
    """The candidates that a text has named before its character `start`."""
    return [candidate for candidate in window.candidates if candidate.name.known <= start]


def make_pairs(windows: list[Window], spans: list[tuple[int, int, int]]) -> tuple[Pairs, list[list[Candidate]]]:
    """The pairs of all spans (window, first and last token), span after span, and the candidates of each span."""
    number: list[int] = []
    tokens: list[tuple[int, int, int]] = []
    features: list[tuple[float, ...]] = []
    candidates: list[list[Candidate]] = []
    for index, (row, first, _) in enumerate(spans):
        window = windows[row]
        found = eligible(window, window.offsets[first - window.body][0])
        times = Counter(candidate.name.key for candidate in found)
        heads = {candidate.name.key for candidate in found if candidate.name.is_head}
        candidates.append(found)
        for candidate in found:
            number.append(index)
            tokens.append((row, candidate.first, candidate.last))
            features.append(_features(candidate, first, times[candidate.name.key], heads))
    pairs = Pairs(
        torch.tensor(number, dtype=torch.long),
        torch.tensor(tokens, dtype=torch.long).reshape(-1, 3),
        torch.tensor(features, dtype=torch.float).reshape(-1, FEATURES),
    )
    return pairs, candidates


def _features(candidate: Candidate, first: int, times: int, heads: set[str]) -> tuple[float, ...]:
    """Whether it is the head or named like it, how far away it stands, how often it was named, and its length."""
    name = candidate.name
    distance = 0.0 if name.is_head else math.log1p(first - candidate.last) / 3
    words = name.name.count(" ") + 1
    capital = name.name[:1].isupper() or name.name[:1].isdigit()
    return float(name.is_head), float(name.key in heads), distance, math.log(times), math.log(words), float(capital)
