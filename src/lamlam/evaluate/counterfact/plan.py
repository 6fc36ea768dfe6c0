"""Which facts of the invented world to edit, and what to ask of each edit."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lamlam.corpus import Probe
from lamlam.evaluate.rivals import Rivals
from lamlam.kb.fact import Fact
from lamlam.kb.store import KnowledgeBase
from lamlam.world.questions import prompts, question
from lamlam.world.wordings import DEMO_WORDINGS

__all__ = ["Edit", "EditPlan", "Questions"]

_NEIGHBOURS = 3


@dataclass(frozen=True, slots=True)
class Edit:
    """A fact, and the value that it is given."""

    fact: Fact
    new: str


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked of an edit: in one wording, in the others, of neighbours, and in which relation of the new value.

    Neighbours are never edited. They have the same relation, and the old value where others have it. `onward` is None
    where the new value is no entity of which anything is known.
    """

    edit: Edit
    asked: Probe
    reworded: tuple[Probe, ...]
    neighbours: tuple[Probe, ...]
    onward: str | None

    def second_hops(self, kb: KnowledgeBase) -> tuple[Probe, Probe] | None:
        """A question about the new value, which was just said: by itself, and in the text that goes on about it.

        Right is what is known of it now.
        """
        if self.onward is None:
            return None
        entity = self.edit.new
        alone = question(entity, self.onward, kb.lookup(entity, self.onward).values)
        alone = replace(alone, id=f"{self.asked.id}|onward")
        text = f"{self.asked.prompt} {entity}. {alone.prompt}"
        return alone, replace(alone, id=f"{alone.id}|in text", prompt=text)


class EditPlan:
    """Up to `number` edits, in an order of their own, of facts that have one value; a quarter of these is left alone.

    All is read before the first edit is made. `seed` draws facts, values and wordings.
    """

    def __init__(self, kb: KnowledgeBase, number: int, seed: int) -> None:
        self._kb, self._rng = kb, random.Random(seed)
        facts = [fact for fact in kb.facts() if prompts(fact.entity, fact.relation)]
        values = Counter((fact.entity, fact.relation) for fact in facts)
        single = [fact for fact in facts if values[fact.entity, fact.relation] == 1]
        self._rng.shuffle(single)
        most = len(single) * 3 // 4
        rivals = Rivals(kb)
        chosen = ((fact, rivals.of(fact, self._rng)) for fact in single[:most][:number])
        self.edits = [Edit(fact, new) for fact, new in chosen if new is not None]
        self._like: dict[tuple[str, str | None], list[Fact]] = defaultdict(list)
        for fact in single[most:]:
            self._like[fact.relation, fact.value].append(fact)
            self._like[fact.relation, None].append(fact)

    def sample(self, edits: Sequence[Edit], number: int) -> list[Questions]:
        """The questions of at most `number` of these edits."""
        return [self._questions(edit) for edit in self._rng.sample(edits, min(number, len(edits)))]

    def _questions(self, edit: Edit) -> Questions:
        fact, rng = edit.fact, self._rng
        worded = [question(fact.entity, fact.relation, [fact.value], n) for n in range(self._wordings(fact))]
        asked = rng.randrange(min(DEMO_WORDINGS, len(worded)))
        alike = self._like[fact.relation, fact.value] or self._like[fact.relation, None]
        near = rng.sample(alike, min(_NEIGHBOURS, len(alike)))
        return Questions(
            edit,
            worded[asked],
            tuple(probe for number, probe in enumerate(worded) if number != asked),
            tuple(question(n.entity, n.relation, [n.value], rng.randrange(DEMO_WORDINGS)) for n in near),
            self._onward(edit.new),
        )

    def _wordings(self, fact: Fact) -> int:
        return len(prompts(fact.entity, fact.relation))

    def _onward(self, entity: str) -> str | None:
        relations = [relation for relation in self._kb.relations_of(entity) if prompts(entity, relation)]
        return self._rng.choice(relations) if relations else None
