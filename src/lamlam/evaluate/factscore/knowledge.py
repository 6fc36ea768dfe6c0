"""The judge that needs no language model: it compares what a text names with a reference knowledge base.

A claim is a value that a sentence names behind its beginning: any value that the reference holds of anything, in a
spelling that `annotate.forms` knows, or any other run of capitalised words and numbers, which the reference does not
know and which is therefore unsupported. It is supported when the biography's entity has it as a value in the reference,
or another entity has it that the text named before: texts go on about a birthplace or an employer.

What it cannot see: under which relation a value is stated (a birthplace that is called a residence is supported); a
made-up value in lower case that no entity of the reference has (no claim); what is true and not in the reference
(unsupported). Words are matched, meanings are not. All values of the reference are held in memory.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from lamlam.annotate.forms import spellings
from lamlam.annotate.words import Word, words
from lamlam.evaluate.factscore.claims import Claim
from lamlam.kb.names import normalise
from lamlam.kb.view import View

__all__ = ["KnowledgeJudge", "sentences"]

_SENTENCE_END = re.compile(r"(?<!\b[A-Z]\.)(?<=[.!?])\s+|\n+")
_RUN = re.compile(r"(?:[A-Z]|\d)[\w'’.-]*(?: (?:(?:of|and|de|the) )?(?:[A-Z]|\d)[\w'’.-]*)*")

_Keys = tuple[str, ...]


class _Named(NamedTuple):
    """What a sentence names at characters [start, end), and the reference's values of that spelling."""

    start: int
    end: int
    keys: _Keys
    values: frozenset[str]


class KnowledgeJudge:
    """Judges by the facts of a knowledge base that hold."""

    name = "knowledge base"

    def __init__(self, reference: View) -> None:
        self._reference = reference
        self._spelt: dict[_Keys, set[str]] = defaultdict(set)
        for value in {value for _, _, value in reference.statements()}:
            for spelling in spellings(value):
                self._spelt[_keys(words(spelling))].add(normalise(value))
        self._longest = max(map(len, self._spelt), default=0)
        self._values: dict[str, frozenset[str]] = {}

    def judge(self, entity: str, text: str) -> list[Claim]:
        """Each claim once, in the order of the text."""
        claims: dict[_Keys, Claim] = {}
        subjects = {entity}
        own = set(_keys(words(entity)))
        for sentence in sentences(text):
            for named in self._named(sentence):
                said = sentence[named.start : named.end]
                if not _begins(sentence, named.start) and not set(named.keys) <= own and named.keys not in claims:
                    supported = any(named.values & self._values_of(subject) for subject in subjects)
                    claims[named.keys] = Claim(said, supported, sentence)
            subjects |= self._entities(sentence)
        return list(claims.values())

    def _named(self, sentence: str) -> list[_Named]:
        """Known values, the longest at each place, and the other names; none overlaps another."""
        found = [each for each in self._known(sentence) if not _inside_a_name(sentence, each)]
        for match in _RUN.finditer(sentence):
            end = match.start() + len(match.group().rstrip(".'’-").removesuffix("'s").removesuffix("’s"))
            if all(end <= each.start or each.end <= match.start() for each in found):
                keys = _keys(words(sentence[match.start() : end]))
                found.append(_Named(match.start(), end, keys, frozenset(self._spelt.get(keys, ()))))
        return sorted(each for each in found if each.keys)

    def _known(self, sentence: str) -> Iterator[_Named]:
        said, place = words(sentence), 0
        while place < len(said):
            sizes = range(min(self._longest, len(said) - place), 0, -1)
            size = next((size for size in sizes if _keys(said[place : place + size]) in self._spelt), 0)
            if size:
                keys = _keys(said[place : place + size])
                yield _Named(said[place].start, said[place + size - 1].end, keys, frozenset(self._spelt[keys]))
            place += size or 1

    def _values_of(self, entity: str) -> frozenset[str]:
        if entity not in self._values:
            self._values[entity] = frozenset(normalise(fact.value) for fact in self._reference.facts(entity))
        return self._values[entity]

    def _entities(self, sentence: str) -> set[str]:
        """The entities of the reference that a sentence names, by name or alias."""
        runs = [sentence[named.start : named.end] for named in self._named(sentence)]
        return set(self._reference.entities_named(runs).values())


def sentences(text: str) -> list[str]:
    """The sentences of a text; a point behind an initial ends none."""
    return [piece for piece in _SENTENCE_END.split(text.strip()) if piece.strip()]


def _keys(said: list[Word]) -> _Keys:
    return tuple(word.key for word in said)


def _begins(sentence: str, start: int) -> bool:
    """Whether only small words stand before `start`: what a sentence begins with is its subject, and no claim."""
    return sentence[:start].strip(" \"'“").casefold() in ("", "the", "a", "an")


def _inside_a_name(sentence: str, named: _Named) -> bool:
    """Whether a capitalised name goes on beyond what is known of it: "Rome" in "Rome Mills"."""
    if not sentence[named.start].isupper():
        return False
    run = next((m for m in _RUN.finditer(sentence) if m.start() <= named.start < m.end()), None)
    if run is None:
        return False
    before, behind = sentence[run.start() : named.start].split(), sentence[named.end : run.end()].split()
    joined = (before and before[-1][0].isupper()) or (behind and behind[0][0].isupper())
    return bool(joined)
