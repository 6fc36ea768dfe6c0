"""Which of many facts a text may state: those whose entity it mentions."""

from collections import defaultdict
from collections.abc import Iterable

from lamlam.annotate.forms import Strength, surface_forms
from lamlam.annotate.mentions import MentionFinder
from lamlam.corpus import FactRecord
from lamlam.text import words

__all__ = ["CandidateFacts"]


class CandidateFacts:
    """Facts indexed by the first words of their entities' names, so that a text is compared with few of them."""

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
        """The facts of every entity that `text` names, by its name or another way to write it."""
        finder = MentionFinder(text)
        entities = dict.fromkeys(entity for key in dict.fromkeys(finder.keys) for entity in self._entities.get(key, ()))
        named = [entity for entity in entities if finder.find(entity, Strength.NAME, Strength.VARIANT)]
        return [fact for entity in named for fact in self._facts[entity]]
