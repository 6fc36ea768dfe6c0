"""A relation's name taken apart: what it is about, which kind of answer it asks for, and what may not differ.

"Founding Year" and "Established In" are both about `found`; the one asks for a date, the other for a date or a place,
and a fact's value says which. How two phrases compare is left to `kb.matching.features`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from lamlam.kb.lexicon import FILLERS, ORDINALS
from lamlam.kb.matching.thesaurus import ANSWERS, IDIOMS, LIGHT, SAME
from lamlam.kb.matching.words import answer_of
from lamlam.kb.similarity import relation_words, stem

__all__ = ["Phrase", "kind_of_value", "parse"]

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


@dataclass(frozen=True, slots=True)
class Phrase:
    """`core` holds the concepts of the words of content, in order, and `terms` a word for each.

    `wants` holds the kinds of answer that are asked for; empty where that is not said.
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
    """The parts of a relation's name; without the thesaurus as for words that it does not know."""
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
    """One form for words of one meaning: by the thesaurus, else by the stem."""
    single = stem(word)
    if thesaurus and (known := SAME.get(word) or SAME.get(single) or _inflected(word)):
        return known
    for suffix in _SUFFIXES:
        if single.endswith(suffix) and len(single) - len(suffix) >= 4:
            return single[: -len(suffix)]
    return single


def _inflected(word: str) -> str | None:
    """What the thesaurus has for the word of which this one is a form: titled, buildings."""
    bases = (word[: -len(old)] + new for old, new in _FORMS if word.endswith(old) and len(word) - len(old) >= 3)
    return next((SAME[base] for base in bases if base in SAME), None)


@lru_cache(maxsize=20_000)
def kind_of_value(value: str) -> str:
    """The kind: "date", "number", "year" for a bare number that may be either, or "name" for anything else."""
    text = value.strip()
    if re.fullmatch(r"1\d\d\d|20\d\d", text):
        return "year"
    if len(text) > 60:
        return "text"
    if _DATE.search(text):
        return "date" if len(_DATE.sub("", text)) < 25 else "name"
    return "number" if _NUMBER.search(text) or _COUNTS.search(text) else "name"


def _parted(words: list[str]) -> list[str]:
    """Compounds taken apart where both parts are known: birthplace, deathdate."""
    parted = []
    for word in words:
        at = next((at for at in range(3, len(word) - 2) if word[:at] in SAME and word[at:] in _SECOND_PARTS), None)
        parted += [word] if at is None or word in SAME else [word[:at], word[at:]]
    return parted


def _wants(words: list[str], content: list[str]) -> frozenset[str]:
    """Which kinds of answer the wording asks for: its head word says so, else the preposition at its end."""
    if not words:
        return frozenset()
    if "many" in words or words[:2] == ["number", "of"]:
        return frozenset(("number",))
    head = words[: words.index("of")] if "of" in words[1:-1] else words
    told = [word for word in head if word in content]
    for word in (told[-1:] + told[:1]) if words[-1] not in _PREPOSITIONS else told[:1]:
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
