"""What speaks for and against two names of relations meaning the same, as numbers.

One name was asked for, the other is one that the entity has. Beside their words counts what facts say: the kind of the
candidate's values, and the kind that the name asked for has with other entities. How the numbers are weighed is left
to `kb.matching.matcher`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.fuzz import ratio

from lamlam.kb.lexicon import OPPOSITES, QUALIFIERS
from lamlam.kb.matching.phrase import Phrase, kind_of_value, parse
from lamlam.kb.matching.words import nearness, phrase_vector, rarity, word_vector
from lamlam.kb.similarity import relation_similarity, stem

__all__ = ["FEATURES", "Evidence", "features"]

FEATURES = (
    "same_words", "core_overlap", "core_equal", "asked_beyond", "held_beyond", "rarest_beyond", "aligned_asked",
    "aligned_held", "near_asked", "near_held", "weakest_link", "phrase_cosine", "core_cosine", "spelling",
    "numbers_differ", "counts_differ", "opposed", "qualified", "same_head", "heads_cosine",
    "kinds_agree", "kinds_differ", "value_fits", "value_misfits", "usual_agrees", "usual_differs",
    "prepositions_differ", "included", "bare_asked", "bare_held",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the facts say: values of the candidate, and values that the name asked for has with other entities."""

    values: Sequence[str] = ()
    usual: Sequence[str] = ()


def features(asked: str, held: str, evidence: Evidence, thesaurus: bool = True) -> list[float]:
    """The numbers of `FEATURES`, in their order; without the thesaurus as for words that it does not know."""
    a, b = parse(asked, thesaurus), parse(held, thesaurus)
    only_a, only_b = _beyond(a, b), _beyond(b, a)
    weight_a, weight_b = _weight(a.terms), _weight(b.terms)
    beyond_a, beyond_b = _weight(only_a), _weight(only_b)
    common = weight_a - beyond_a
    overlap = common / max(common + beyond_a + beyond_b, 1e-9)
    kinds = {kind_of_value(value) for value in evidence.values}
    usual = {kind_of_value(value) for value in evidence.usual}
    return [
        relation_similarity(asked, held),
        overlap,
        float(bool(a.core) and not only_a and not only_b),
        beyond_a / max(weight_a, 1e-9),
        beyond_b / max(weight_b, 1e-9),
        max(map(rarity, (*only_a, *only_b)), default=0.0),
        _aligned(only_a, b.terms, _likeness),
        _aligned(only_b, a.terms, _likeness),
        _aligned(only_a, b.terms, nearness),
        _aligned(only_b, a.terms, nearness),
        min((_best(word, b.terms) for word in only_a), default=1.0)
        * min((_best(w, a.terms) for w in only_b), default=1.0),
        _cosine(phrase_vector(a.words), phrase_vector(b.words)),
        _cosine(phrase_vector(a.terms), phrase_vector(b.terms)),
        ratio(a.text, b.text) / 100,
        float(a.numbers != b.numbers),
        float(_counts(a) != _counts(b)),
        float(_opposed(a, b)),
        float(bool((set(a.words) ^ set(b.words)) & QUALIFIERS - a.prepositions - b.prepositions)),
        float(a.head == b.head and a.head != ""),
        _cosine(word_vector((*a.terms, "")[-1 - bool(a.terms)]), word_vector((*b.terms, "")[-1 - bool(b.terms)])),
        float(bool(a.wants & b.wants)),
        float(bool(a.wants and b.wants and not a.wants & b.wants)),
        float(_fits(a.wants, kinds) is True),
        float(_fits(a.wants, kinds) is False),
        float(bool(usual) and _alike(usual, kinds)),
        float(bool(usual) and not _alike(usual, kinds)),
        float(bool(a.ending and b.ending) and a.ending != b.ending),
        float(bool(only_a) != bool(only_b)),
        float(not _content(a)),
        float(not _content(b)),
    ]


def _beyond(a: Phrase, b: Phrase) -> list[str]:
    """The terms of `a` whose concepts `b` lacks."""
    rest = Counter(b.core)
    beyond = []
    for concept, term in zip(a.core, a.terms, strict=True):
        if rest[concept]:
            rest[concept] -= 1
        else:
            beyond.append(term)
    return beyond


def _weight(words: Sequence[str]) -> float:
    return sum(map(rarity, words))


def _aligned(words: Sequence[str], others: Sequence[str], near: Callable[[str, str], float]) -> float:
    """How near the words come to the nearest of the others, by weight; 1.0 for no words."""
    if not words:
        return 1.0
    nearest = [max((near(word, other) for other in others), default=0.0) for word in words]
    return sum(rarity(word) * each for word, each in zip(words, nearest, strict=True)) / _weight(words)


def _best(word: str, others: Sequence[str]) -> float:
    return max((max(nearness(word, other), _likeness(word, other)) for other in others), default=0.0)


def _likeness(a: str, b: str) -> float:
    return max(0.0, _cosine(word_vector(a), word_vector(b)))


def _cosine(a: np.ndarray | None, b: np.ndarray | None) -> float:
    return 0.0 if a is None or b is None else float(a @ b)


def _counts(phrase: Phrase) -> frozenset[str]:
    """The numbers and ordinals of a phrase; "first" is often left unsaid."""
    return phrase.numbers - {"1"}


def _opposed(a: Phrase, b: Phrase) -> bool:
    words_a, words_b = ({form for word in phrase.text.split() for form in (word, stem(word))} for phrase in (a, b))
    only_a, only_b = words_a - words_b, words_b - words_a
    return any((pair & only_a) and (pair & only_b) for pair in OPPOSITES)


def _fits(wants: frozenset[str], kinds: set[str]) -> bool | None:
    """Whether values are of a kind that is asked for; None where that cannot be told."""
    if not wants or not kinds or kinds == {"text"}:
        return None
    possible = {"date": {"date", "year"}, "number": {"number", "year"}, "place": {"name"}, "person": {"name"}}
    return any(possible[want] & kinds for want in wants)


def _alike(a: set[str], b: set[str]) -> bool:
    """Whether kinds of values meet; a bare year may be a date or a number."""
    wide_a = a | ({"date", "number"} if "year" in a else set())
    wide_b = b | ({"date", "number"} if "year" in b else set())
    return bool(wide_a & wide_b)


def _content(phrase: Phrase) -> bool:
    """Whether a phrase is about something, not only of a kind ("Date", "Located In")."""
    return any(word not in ("date", "locate", "number", "name", "count") for word in phrase.core)
