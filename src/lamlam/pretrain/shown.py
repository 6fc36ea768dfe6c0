"""Facts shown before a text that is trained on: the rival of lookups that is fair, since it is trained for its prompts.

A text's own facts stand among others, as a retriever finds them: those of the same relations, and any.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from lamlam.corpus.corpus import FactRecord
from lamlam.corpus.prompts import shown
from lamlam.markup import UNKNOWN, AnnotatedDocument

__all__ = ["ShownFacts"]


class ShownFacts:
    """Draws `number` facts for documents, from their calls and from those of others."""

    def __init__(self, number: int, documents: Iterable[AnnotatedDocument]) -> None:
        self._number = number
        calls = {(call.entity, call.relation, call.value) for document in documents for call in document.calls}
        self._facts = [FactRecord(*call) for call in sorted(calls)]
        self._of: dict[str, list[FactRecord]] = defaultdict(list)
        for fact in self._facts:
            self._of[fact.relation].append(fact)

    def before(self, document: AnnotatedDocument, rng: random.Random) -> str:
        """The facts to stand before a document, shuffled; a fact that its call does not find is not among them."""
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
        """What the next fact is drawn from: half of the time a relation that the document has."""
        alike = self._of.get(rng.choice(own).relation) if own and rng.random() < 0.5 else None
        return alike or self._facts
