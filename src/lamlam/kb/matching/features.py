"""Two names of relations as numbers: what speaks for and against their meaning the same.

One name was asked for; the entity has the other. "Founding Year" and "Established In" are both about `found`; the first
asks for a date, the second for a date or a place, and a fact's value says which. Besides words, the facts count: the
kind of the candidate's values, and the kind that the name asked for has with other entities.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from rapidfuzz.fuzz import ratio

from lamlam.kb.matching.words import (
    ANSWERS,
    IDIOMS,
    LIGHT,
    SAME,
    answer_of,
    nearness,
    phrase_vector,
    rarity,
    word_vector,
)
from lamlam.kb.similarity import FILLERS, OPPOSITES, ORDINALS, QUALIFIERS, relation_similarity, relation_words, stem

__all__ = ["FEATURES", "Evidence", "Phrase", "features", "kind_of_value", "parse"]

# fmt: off
_PREPOSITIONS = frozenset((
    "by", "in", "on", "at", "from", "to", "with", "for", "as", "after", "before", "against", "over", "under", "into",
    "during", "since", "until", "between", "through", "of", "near",
))
_SECOND_PARTS = frozenset(("place", "date", "year", "day", "time", "name", "town", "land", "work", "span"))
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)
# fmt: on
_DATE = re.compile(rf"\b(1\d\d\d|20\d\d)s?\b|\b({'|'.join(_MONTHS)})\b|\b(century|bc|bce|ad)\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"^\W*(about|around|over|nearly|approximately|more than|less than)?\s*\W*\d|percent|%", re.IGNORECASE
)
_COUNTS = re.compile(r"^(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|fifty)\b", re.I)
_IDIOM = re.compile(rf"\b({'|'.join(sorted(IDIOMS, key=len, reverse=True))})\b")
_FORMS = (("d", ""), ("ed", ""), ("ing", ""), ("ing", "e"), ("s", ""), ("es", ""), ("er", ""), ("r", ""), ("or", ""),
          ("or", "e"), ("ion", ""), ("ion", "e"), ("ation", "e"), ("ment", ""))  # fmt: skip
_SUFFIXES = ("ational", "ization", "ations", "ation", "ition", "ments", "ment", "ings", "ing", "ance", "ence", "ions",
             "ion", "ists", "ist", "ers", "er", "ors", "or", "ed", "al", "ly", "es", "e", "y")  # fmt: skip
FEATURES = (
    "same_words", "core_overlap", "core_equal", "asked_beyond", "held_beyond", "rarest_beyond", "aligned_asked",
    "aligned_held", "near_asked", "near_held", "weakest_link", "phrase_cosine", "core_cosine", "spelling",
    "numbers_differ", "counts_differ", "opposed", "qualified", "same_head", "heads_cosine",
    "kinds_agree", "kinds_differ", "value_fits", "value_misfits", "usual_agrees", "usual_differs",
    "prepositions_differ", "included", "bare_asked", "bare_held",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Phrase:
    """A relation's name taken apart.

    `core` has the concepts of the words of content, in order, and `terms` a word for each. `wants` has the kinds of
    answer that are asked for; empty if that is open.
    """

    text: str
    words: tuple[str, ...]
    core: tuple[str, ...]
    terms: tuple[str, ...]
    head: str
    wants: frozenset[str]
    numbers: frozenset[str]
    prepositions: frozenset[str]
    ending: str


@lru_cache(maxsize=20_000)
def parse(relation: str, thesaurus: bool = True) -> Phrase:
    """Take a relation's name apart; without the thesaurus as if it knew none of the words."""
    written = relation_words(relation)
    text = " ".join(written)
    words = _parted((_IDIOM.sub(lambda found: IDIOMS[found[0]], text) if thesaurus else text).split())
    kept = [word for word in words if word not in FILLERS]
    numbers = frozenset(ORDINALS.get(word, word) for word in kept if word[0].isdigit() or word in ORDINALS)
    content = [word for word in kept if word not in _PREPOSITIONS and not word[0].isdigit() and word not in ORDINALS]
    telling = [word for word in content if word not in LIGHT] or content
    core = tuple(concept(word, thesaurus) for word in telling)
    return Phrase(
        " ".join(words),
        tuple(kept),
        core,
        tuple(telling),
        core[-1] if core else "",
        _wants(words, content),
        numbers,
        frozenset(word for word in written if word in _PREPOSITIONS and word != "of"),
        written[-1] if written and written[-1] in _PREPOSITIONS else "",
    )


@lru_cache(maxsize=20_000)
def concept(word: str, thesaurus: bool = True) -> str:
    """Return one form for words of one meaning: by the thesaurus, else by the stem."""
    single = stem(word)
    if thesaurus and (known := SAME.get(word) or SAME.get(single) or _inflected(word)):
        return known
    for suffix in _SUFFIXES:
        if single.endswith(suffix) and len(single) - len(suffix) >= 4:
            return single[: -len(suffix)]
    return single


def _inflected(word: str) -> str | None:
    """Return what the thesaurus has for the word of which this is a form: titled, buildings."""
    bases = (word[: -len(old)] + new for old, new in _FORMS if word.endswith(old) and len(word) - len(old) >= 3)
    return next((SAME[base] for base in bases if base in SAME), None)


@lru_cache(maxsize=20_000)
def kind_of_value(value: str) -> str:
    """Return the kind: "date", "number", "year" for a bare number that may be either, or "name" for anything else."""
    text = value.strip()
    if re.fullmatch(r"1\d\d\d|20\d\d", text):
        return "year"
    if len(text) > 60:
        return "text"
    if _DATE.search(text):
        return "date" if len(_DATE.sub("", text)) < 25 else "name"
    return "number" if _NUMBER.search(text) or _COUNTS.search(text) else "name"


def _parted(words: list[str]) -> list[str]:
    """Split compounds of which both parts are known: birthplace, deathdate."""
    parted = []
    for word in words:
        at = next((at for at in range(3, len(word) - 2) if word[:at] in SAME and word[at:] in _SECOND_PARTS), None)
        parted += [word] if at is None or word in SAME else [word[:at], word[at:]]
    return parted


def _wants(words: list[str], content: list[str]) -> frozenset[str]:
    """Return which kinds of answer the wording asks for: by its head word, else by the preposition at its end."""
    if not words:
        return frozenset()
    if "many" in words or words[:2] == ["number", "of"]:
        return frozenset(("number",))
    head = words[: words.index("of")] if "of" in words[1:-1] else words
    telling = [word for word in head if word in content]
    for word in (telling[-1:] + telling[:1]) if words[-1] not in _PREPOSITIONS else telling[:1]:
        kinds = {kind for kind, known in ANSWERS.items() if word in known or stem(word) in known}
        if kinds or (kinds := {kind for kind in (answer_of(word), answer_of(stem(word))) if kind}):
            return frozenset(kinds)
    ending = {
        "in": ("date", "place"),
        "on": ("date",),
        "at": ("place",),
        "by": ("person",),
        "from": ("place", "person"),
        "to": ("place", "person"),
        "with": ("person",),
    }
    return frozenset(ending.get(words[-1], ()))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the facts say: values of the candidate, and values that the name asked for has with other entities."""

    values: Sequence[str] = ()
    usual: Sequence[str] = ()


def features(asked: str, held: str, evidence: Evidence, thesaurus: bool = True) -> list[float]:
    """Return the numbers of `FEATURES`, in their order; without the thesaurus as if it knew none of the words."""
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
    """Return the terms of `a` whose concepts `b` lacks."""
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
    """Return how near the words come to the nearest of the others, by weight; 1.0 for no words."""
    if not words:
        return 1.0
    nearest = [max((near(word, other) for other in others), default=0.0) for word in words]
    return sum(rarity(word) * near for word, near in zip(words, nearest, strict=True)) / _weight(words)


def _best(word: str, others: Sequence[str]) -> float:
    return max((max(nearness(word, other), _likeness(word, other)) for other in others), default=0.0)


def _likeness(a: str, b: str) -> float:
    return max(0.0, _cosine(word_vector(a), word_vector(b)))


def _cosine(a: np.ndarray | None, b: np.ndarray | None) -> float:
    return 0.0 if a is None or b is None else float(a @ b)


def _counts(phrase: Phrase) -> frozenset[str]:
    """Return the numbers and ordinals of a phrase; "first" is often left out."""
    return phrase.numbers - {"1"}


def _opposed(a: Phrase, b: Phrase) -> bool:
    words_a, words_b = ({form for word in phrase.text.split() for form in (word, stem(word))} for phrase in (a, b))
    only_a, only_b = words_a - words_b, words_b - words_a
    return any((pair & only_a) and (pair & only_b) for pair in OPPOSITES)


def _fits(wants: frozenset[str], kinds: set[str]) -> bool | None:
    """Whether values are of a kind that is asked for; None if that is unknown."""
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
    """Whether a phrase is about something, and not just of a kind ("Date", "Located In")."""
    return any(word not in ("date", "locate", "number", "name", "count") for word in phrase.core)
