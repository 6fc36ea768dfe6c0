"""Training-time augmentation of annotated documents: names replaced, calls that find nothing, questions, shown facts.

A small model that sees a few hundred names memorises them and cannot ask about a new one. If they are renamed each time
a document is packed, they can only be copied. Renaming goes word by word, so a later partial mention follows the full
name, and only distinctive words change: "Aarhus Airport" may become "Belvik Airport". Likewise a model that only sees
lookups succeed invents a value when one fails, so some calls find nothing, and the text says so.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from lamlam.corpus.corpus import FactRecord
from lamlam.corpus.prompts import prompt_of, shown, text_of
from lamlam.markup import UNKNOWN, AnnotatedDocument, Call
from lamlam.pretrain.recipe import SubstitutionSettings
from lamlam.text import WORD

__all__ = ["DONT_KNOW", "ShownFacts", "Substitution", "ask_about"]

_ORDER = 3
DONT_KNOW = "I don't know."
_QUESTIONS = (
    "What is the {relation} of {entity}?",
    "What is the {relation} of {entity}?",
    "What is {entity}'s {relation}?",
    "Which {relation} does {entity} have?",
    "Can you tell me the {relation} of {entity}?",
    "{entity}: {relation}?",
)


class Substitution:
    """Renames subjects and values of documents, with words made from those of the given names."""

    def __init__(self, settings: SubstitutionSettings, names: Iterable[str]) -> None:
        self.settings = settings
        names = sorted(set(names))
        counts = Counter(word.casefold() for name in names for word in set(WORD.findall(name)))
        # A word that many names share is the kind of thing that is named ("Airport", "University"): it stays.
        self._common = {word for word, count in counts.items() if count > max(3, len(names) // 500)}
        self._words = [w for name in names for w in WORD.findall(name) if self._is_distinct(w) and not w.isdigit()]
        self._letters = _letter_chain(self._words)

    def apply(self, document: AnnotatedDocument, rng: random.Random) -> AnnotatedDocument:
        """Return the document with some names replaced throughout; calls still precede their values."""
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
                # The model could not copy what the text lacks: no half names, no values spelt differently.
                stated = [word for word in words if word.casefold() in written]
                if names is values or len(stated) == len(words):
                    for word in stated:
                        mapping.setdefault(word.casefold(), self._invent(word, rng))
        return mapping

    def _is_distinct(self, word: str) -> bool:
        """Return whether a word distinguishes names: numbers and capitalised words do, unless many names share them."""
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
        """Return a word that looks like the names: each letter is drawn given the two before it."""
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
    """Return the document as it would read if the calls numbered `missed` had found nothing."""
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


def ask_about(document: AnnotatedDocument, rng: random.Random, *, unknown: float = 0.0) -> AnnotatedDocument:
    """Return a question about one of the document's calls, and its answer; with probability `unknown` none is found.

    A question names the entity and the relation, so it determines what is asked for; a text often does not.
    """
    call = rng.choice(document.calls)
    relation = " ".join(word if word.isupper() else word.lower() for word in call.relation.split())
    question = rng.choice(_QUESTIONS).format(relation=relation, entity=call.entity)
    missed = rng.random() < unknown
    text = text_of(question, DONT_KNOW if missed else f"{call.value}.")
    at = len(prompt_of(question)) + 1
    asked = Call(call.entity, call.relation, UNKNOWN if missed else call.value, at)
    return replace(document, text=text, calls=(asked,))


class ShownFacts:
    """Draws `number` facts to show before a document: its own among others, as a retriever finds them.

    They are the fair rival of lookups, since the model is trained for its prompts.
    """

    def __init__(self, number: int, documents: Iterable[AnnotatedDocument]) -> None:
        self._number = number
        calls = {(call.entity, call.relation, call.value) for document in documents for call in document.calls}
        self._facts = [FactRecord(*call) for call in sorted(calls)]
        self._of: dict[str, list[FactRecord]] = defaultdict(list)
        for fact in self._facts:
            self._of[fact.relation].append(fact)

    def before(self, document: AnnotatedDocument, rng: random.Random) -> str:
        """Return the facts shown before a document, shuffled, without those that its calls don't find."""
        own = [FactRecord(call.entity, call.relation, call.value) for call in document.calls]
        chosen = dict.fromkeys(fact for fact in own if fact.value != UNKNOWN)
        asked = {(fact.entity, fact.relation) for fact in own}
        for _ in range(2 * self._number):
            if len(chosen) < self._number and self._facts:
                other = rng.choice(self._like(own, rng))
                if (other.entity, other.relation) not in asked:
                    chosen[other] = None
        facts = list(chosen)[: self._number]
        rng.shuffle(facts)
        return shown(facts)

    def _like(self, own: Sequence[FactRecord], rng: random.Random) -> Sequence[FactRecord]:
        """Return what the next fact is drawn from: half of the time a relation that the document has."""
        alike = self._of.get(rng.choice(own).relation) if own and rng.random() < 0.5 else None
        return alike or self._facts
