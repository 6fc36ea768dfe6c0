"""Entity substitution: a training-time augmentation that renames subjects and values in text and calls alike.

A small model that sees a few hundred names learns them by heart and cannot ask about a new one. Renamed afresh each
time a document is packed, names can only be copied. Renaming goes word by word, so that a later partial mention
follows the full name, and only the words that make a name distinct are touched: "Aarhus Airport" may become "Belvik
Airport".

Likewise, a model that has only seen lookups succeed invents a value when one fails. So some calls may find nothing, and
the text says so.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from lamlam.markup import UNKNOWN, AnnotatedDocument, Call
from lamlam.text import WORD

__all__ = ["Substitution", "SubstitutionSettings"]

_ORDER = 3


class SubstitutionSettings(BaseModel):
    """Probabilities, each drawn once per subject, per value and per call of a document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subjects: float = Field(default=0.0, ge=0.0, le=1.0, description="probability that a subject is renamed")
    values: float = Field(default=0.0, ge=0.0, le=1.0, description="probability that a value is replaced")
    unknown: float = Field(default=0.0, ge=0.0, le=1.0, description="probability that a call finds nothing")


class Substitution:
    """Renames the subjects and values of documents, with words made from those of the names it was given."""

    def __init__(self, settings: SubstitutionSettings, names: Iterable[str]) -> None:
        self.settings = settings
        names = sorted(set(names))
        counts = Counter(word.casefold() for name in names for word in set(WORD.findall(name)))
        # A word that many names share says what kind of thing is named ("Airport", "University"): it stays.
        self._common = {word for word, count in counts.items() if count > max(3, len(names) // 500)}
        self._words = [w for name in names for w in WORD.findall(name) if self._is_distinct(w) and not w.isdigit()]
        self._letters = _letter_chain(self._words)

    def apply(self, document: AnnotatedDocument, rng: random.Random) -> AnnotatedDocument:
        """The document with some names replaced throughout; its calls still stand before the same values."""
        mapping = self._mapping(document, rng)
        document = _rename(document, mapping) if mapping else document
        missed = {i for i in range(len(document.calls)) if rng.random() < self.settings.unknown}
        return _miss(document, missed) if missed else document

    def _mapping(self, document: AnnotatedDocument, rng: random.Random) -> dict[str, str]:
        subjects = list(dict.fromkeys(call.entity for call in document.calls))
        values = list(dict.fromkeys(call.value for call in document.calls if call.value not in subjects))
        written = {word.casefold() for word in WORD.findall(document.text)}
        mapping: dict[str, str] = {}
        for names, probability in ((subjects, self.settings.subjects), (values, self.settings.values)):
            for name in names:
                if rng.random() >= probability:
                    continue
                words = [word for word in WORD.findall(name) if self._is_distinct(word)]
                # What the text never writes could not be copied from it: no half names, no values spelt otherwise.
                stated = [word for word in words if word.casefold() in written]
                if names is values or len(stated) == len(words):
                    for word in stated:
                        mapping.setdefault(word.casefold(), self._invent(word, rng))
        return mapping

    def _is_distinct(self, word: str) -> bool:
        """Numbers and capitalised words tell names apart; words of the language, and shared ones, do not."""
        return word.casefold() not in self._common and (any(c.isdigit() for c in word) or word[0].isupper())

    def _invent(self, word: str, rng: random.Random) -> str:
        if any(c.isdigit() for c in word):
            return "".join(
                rng.choice("0123456789" if i else "123456789") if c.isdigit() else c for i, c in enumerate(word)
            )
        if not self._words or (len(word) <= 4 and word.isupper()):
            return "".join(rng.choice("ABCDEFGHIJKLMNOPRSTUVWYZ") if c.isalpha() else c for c in word)
        return rng.choice(self._words) if rng.random() < 0.3 else self._spell(rng)

    def _spell(self, rng: random.Random) -> str:
        """A word that looks like the names: letters drawn after the two before them."""
        state, out = "^" * (_ORDER - 1), ""
        while len(out) < 12:
            letter = rng.choice(self._letters[state])
            if letter == "$":
                break
            out, state = out + letter, state[1:] + letter
        return out[:1].upper() + out[1:]


def _letter_chain(words: Iterable[str]) -> Mapping[str, list[str]]:
    chain: dict[str, list[str]] = defaultdict(list)
    for word in words:
        letters = "^" * (_ORDER - 1) + word.casefold() + "$"
        for i in range(len(letters) - _ORDER + 1):
            chain[letters[i : i + _ORDER - 1]].append(letters[i + _ORDER - 1])
    return chain


def _rename(document: AnnotatedDocument, mapping: Mapping[str, str]) -> AnnotatedDocument:
    def replace(match: re.Match[str]) -> str:
        word = match.group()
        new = mapping.get(word.casefold(), word)
        return new.lower() if word.islower() else new.upper() if word.isupper() and len(word) > 1 else new

    text, calls, position = "", [], 0
    for call in document.calls:
        text += WORD.sub(replace, document.text[position : call.at])
        position = call.at
        entity, value = WORD.sub(replace, call.entity), WORD.sub(replace, call.value)
        calls.append(Call(entity, call.relation, value, len(text)))
    text += WORD.sub(replace, document.text[position:])
    return AnnotatedDocument(document.id, text, tuple(calls))


def _miss(document: AnnotatedDocument, missed: Collection[int]) -> AnnotatedDocument:
    """The document as it would read had the calls numbered `missed` found nothing, where their values are stated."""
    text, calls, position = "", [], 0
    for number, call in enumerate(document.calls):
        text += document.text[position : call.at]
        position = max(position, call.at)
        value = call.value
        if number in missed and position == call.at and document.text.startswith(value, call.at):
            calls.append(Call(call.entity, call.relation, UNKNOWN, len(text)))
            text += UNKNOWN
            position += len(value)
        else:
            calls.append(Call(call.entity, call.relation, value, len(text)))
    return AnnotatedDocument(document.id, text + document.text[position:], tuple(calls))
