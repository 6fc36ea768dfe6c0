"""Distant supervision: place a call before each mention by which a text states a known fact.

A fact is stated where its value is mentioned after its entity. The text is never altered. How names are written and
found is left to `forms` and `mentions`, which mention is the best to `scene`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Self

from lamlam.annotate.forms import Strength, surface_forms
from lamlam.annotate.mentions import Mention, MentionFinder
from lamlam.annotate.scene import MentionIndex, Scene, ValueMentions, text_before
from lamlam.annotate.spans import with_article
from lamlam.corpus import FactRecord
from lamlam.corpus.files import read_facts
from lamlam.files import file_digest
from lamlam.markup import AnnotatedDocument, Call
from lamlam.text import words

__all__ = ["AlignAnnotator", "Aligner", "Alignment", "CandidateFacts", "UnplacedReason"]


class UnplacedReason(StrEnum):
    """Why a fact has no place in a text."""

    ENTITY_NOT_FOUND = "entity_not_found"
    VALUE_NOT_FOUND = "value_not_found"
    BEFORE_ENTITY = "before_entity"
    NEARER_ENTITY = "nearer_entity"


@dataclass(frozen=True, slots=True)
class Alignment:
    """An annotated document, the facts placed in it (with document and span), and the others with the reason."""

    document: AnnotatedDocument
    placed: list[FactRecord]
    unplaced: list[tuple[FactRecord, UnplacedReason]]


class Aligner:
    """Aligns texts with facts; keeps no state between texts.

    `stated` means that each text is known to state its facts. Then a near spelling or a part of a name is evidence
    enough. Otherwise a value counts only as a name or another way to write it, by itself and not as a piece of a longer
    name; and of several entities with that value, it is given to the one named last before it.
    """

    def __init__(self, *, stated: bool = True) -> None:
        self._stated = stated

    def annotate(self, text: str, facts: Iterable[FactRecord], id: str) -> Alignment:
        """Place a call before the value's mention for every fact that `text` states after its entity.

        A call has the fact's own value; the span of a placed fact is the mention, as the text writes it.
        """
        facts = list(dict.fromkeys(facts))
        finder = MentionFinder(text)
        mentions = _mentions(finder, facts, self._stated)
        entities = {entity: mentions[entity] or _nested(finder, entity) for entity in {fact.entity for fact in facts}}
        scene = _scene(finder, facts, entities, mentions)
        values = {name: ValueMentions(mentions[name], scene, stated=self._stated) for name in {f.value for f in facts}}
        taken: set[int] = set()
        placed: list[FactRecord] = []
        unplaced: list[tuple[FactRecord, UnplacedReason]] = []
        for fact in sorted(facts, key=lambda fact: _order(entities[fact.entity], mentions[fact.value])):
            if not mentions[fact.value]:
                unplaced.append((fact, UnplacedReason.VALUE_NOT_FOUND))
                continue
            place = _place(values[fact.value], fact.entity, entities[fact.entity], taken)
            if isinstance(place, UnplacedReason):
                unplaced.append((fact, place))
            else:
                if self._stated:
                    taken.add(place.start)
                start = with_article(text, place.start, fact.value)
                placed.append(replace(fact, document=id, start=start, end=place.end))
        placed.sort(key=lambda fact: (fact.start, fact.entity, fact.relation))
        calls = tuple(Call(fact.entity, fact.relation, fact.value, fact.start or 0) for fact in placed)
        return Alignment(AnnotatedDocument(id, text, calls), placed, unplaced)


def _place(value: ValueMentions, entity: str, named: list[Mention], taken: set[int]) -> Mention | UnplacedReason:
    """Return the best mention of the value after the first of the entity.

    Places that aren't taken are better: each stated fact is likely to be stated at a place of its own.
    """
    if not named:
        return UnplacedReason.ENTITY_NOT_FOUND
    if not value.reaches(named[0].last):
        return UnplacedReason.BEFORE_ENTITY
    return value.best(entity, named[0].last, taken) or UnplacedReason.NEARER_ENTITY


def _mentions(finder: MentionFinder, facts: Sequence[FactRecord], weaker: bool) -> dict[str, list[Mention]]:
    """Return the mentions of every entity and value; weaker ones only for names without sure ones, where free."""
    names = dict.fromkeys(name for fact in facts for name in (fact.entity, fact.value))
    found = {name: finder.find(name, Strength.NAME, Strength.VARIANT) for name in names}
    index = MentionIndex(found.values())
    found = {name: _unhidden(mentions, index, finder.text) for name, mentions in found.items()}
    index = MentionIndex(found.values())
    searches: tuple[Callable[[str], list[Mention]], ...] = (
        lambda name: finder.find(name, Strength.PART, Strength.PART),
        finder.find_near,
        lambda name: finder.find(name, Strength.HINT, Strength.HINT),
        finder.find_moved,
    )
    for search in searches if weaker else ():
        for name in names:
            if not found[name]:
                found[name] = _unhidden(search(name), index, finder.text)
                index.add(found[name])
    return found


def _scene(
    finder: MentionFinder,
    facts: Sequence[FactRecord],
    entities: Mapping[str, list[Mention]],
    mentions: Mapping[str, list[Mention]],
) -> Scene:
    holders: dict[str, set[str]] = defaultdict(set)
    for fact in facts:
        holders[fact.value].add(fact.entity)
    values: dict[int, set[str]] = defaultdict(set)
    for value in holders:
        for mention in mentions[value]:
            values[mention.start].add(value)
    return Scene(finder, entities, holders, values)


def _unhidden(mentions: list[Mention], index: MentionIndex, text: str) -> list[Mention]:
    """Return those that aren't just a piece of a longer name; an item of a list ("Abilene, Texas") is no piece."""
    return [mention for mention in mentions if all(_is_item(mention, other, text) for other in index.around(mention))]


def _is_item(mention: Mention, other: Mention, text: str) -> bool:
    whole = text[other.start : other.end]
    marks = (",", "(", ")") if " of " in whole else (",", "(", ")", " and", " or")
    before, after = text[other.start : mention.start].rstrip(), text[mention.end : other.end].lstrip()
    return (not before or before.endswith(marks)) and (not after or after.startswith(tuple(map(str.lstrip, marks))))


def _nested(finder: MentionFinder, entity: str) -> list[Mention]:
    """Return mentions at the end of a longer name ("President of the United States"): they introduce the entity too."""
    mentions = finder.find(entity, Strength.NAME, Strength.VARIANT)
    joints = (" of", " of the", " in", " in the")
    return [mention for mention in mentions if text_before(finder.text, mention.start).endswith(joints)]


def _order(entity: list[Mention], value: list[Mention]) -> tuple[int, int]:
    """Sort facts with fewer possible places first, then those whose entity comes first."""
    return len(value), entity[0].start if entity else -1


class AlignAnnotator:
    """Places given facts where texts state them; without any, the facts that a document brings as triples or calls.

    A text is tried with the facts of every entity that it names. A document is known to state the facts it brings.
    """

    name = "align"

    def __init__(self, facts: Iterable[FactRecord] | None = None, digest: str | None = None) -> None:
        self.facts = None if facts is None else list(facts)
        self.settings: Mapping[str, object] = {"facts": digest}
        self._aligner = Aligner(stated=self.facts is None)
        self._candidates = CandidateFacts(self.facts or ())
        self._notes: Counter[str] = Counter()

    @classmethod
    def of_file(cls, facts: Path | None) -> Self:
        """Read the facts from a JSON Lines file, if one is given. Raises `InputError`."""
        return cls() if facts is None else cls(read_facts(facts), file_digest(facts))

    def annotate(self, document: AnnotatedDocument) -> AnnotatedDocument:
        """Return the document with a call before each place where it states a fact after its entity."""
        facts = self.brought(document) if self.facts is None else self._candidates.mentioned_in(document.text)
        alignment = self._aligner.annotate(document.text, facts, document.id)
        self._notes.update(reason.value for _, reason in alignment.unplaced)
        return replace(document, calls=alignment.document.calls)

    def annotate_many(self, documents: Iterable[AnnotatedDocument]) -> Iterator[AnnotatedDocument]:
        return map(self.annotate, documents)

    def brought(self, document: AnnotatedDocument) -> list[FactRecord]:
        """Return the facts that a document is known to state; none if facts were given."""
        if self.facts is not None:
            return []
        return [FactRecord(call.entity, call.relation, call.value) for call in document.calls]

    def take_notes(self) -> Counter[str]:
        """Return why facts found no place, counted since the last call."""
        notes, self._notes = self._notes, Counter()
        return notes


class CandidateFacts:
    """Facts indexed by the first words of their entities' names, so a text is compared with few of them."""

    def __init__(self, facts: Iterable[FactRecord]) -> None:
        self._facts: dict[str, dict[FactRecord, None]] = defaultdict(dict)
        for fact in facts:
            self._facts[fact.entity][FactRecord(fact.entity, fact.relation, fact.value)] = None
        self._entities: dict[str, dict[str, None]] = defaultdict(dict)
        for entity in self._facts:
            for form in surface_forms(entity):
                if form.strength <= Strength.VARIANT and (first := words(form.text)):
                    self._entities[first[0].key][entity] = None

    def mentioned_in(self, text: str) -> list[FactRecord]:
        """Return the facts of every entity that `text` names, by its name or another way to write it."""
        finder = MentionFinder(text)
        entities = dict.fromkeys(entity for key in dict.fromkeys(finder.keys) for entity in self._entities.get(key, ()))
        named = [entity for entity in entities if finder.find(entity, Strength.NAME, Strength.VARIANT)]
        return [fact for entity in named for fact in self._facts[entity]]
