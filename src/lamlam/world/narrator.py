"""Writes short texts about an entity, of several sentences, with their calls.

The first sentence gives the entity's full name; later ones mostly say "she", a last name or "the city". Some texts
continue with a second entity, which an earlier sentence named as a value. A call always asks for the full name.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from string import Formatter

from lamlam.markup import Call
from lamlam.world.population import Population
from lamlam.world.schema import Entity, Size
from lamlam.world.wordings import DEMO_WORDINGS, INTRODUCTIONS, WORDINGS, possessive

__all__ = ["Fact", "Narrator", "Text"]

_INTRODUCED = 0.25  # of the texts begin with a sentence that states no fact
_JOINED = 0.25  # of the sentences are joined with the one before, where both allow it
_CONTINUED = 0.35  # of the texts continue with a second entity, if they name one
_PRONOUN, _FULL = 0.55, 0.1  # of the later sentences have a pronoun or the full name; the rest a short name
_INVERSE = {"Spouse": "Spouse", "Works Written": "Author", "Author": "Works Written"}  # stated by the same sentence
_SUBJECT = "{subject} "

Fact = tuple[str, str]


class Reference(Enum):
    """How a sentence may refer to its subject: by its full name, without a pronoun, or in any way."""

    FULL = auto()
    CLEAR = auto()
    ANY = auto()


@dataclass(slots=True)
class Text:
    """A text as it is written, and its calls."""

    text: str = ""
    calls: tuple[Call, ...] = ()

    def add(self, piece: str) -> None:
        self.text += piece

    def call(self, entity: str, relation: str, value: str) -> None:
        """Append `value`, and the call in front of it."""
        self.calls += (Call(entity, relation, value, len(self.text)),)
        self.text += value


class Narrator:
    """Writes about the entities of a population; every choice is drawn from `rng`."""

    def __init__(self, population: Population, size: Size, rng: Random) -> None:
        self._population = population
        self._rng = rng
        limit = DEMO_WORDINGS if size == "demo" else None
        self._introductions = INTRODUCTIONS[:limit]
        self._wordings = {relation: wordings[:limit] for relation, wordings in WORDINGS.items()}

    def write(self, entity: Entity, *, without: Collection[Fact] = ()) -> Text:
        """Write a text about `entity` that states up to five facts, none of them in `without`.

        The text has no calls if the entity has no other facts.
        """
        stated = self._choose(entity, self._rng.randint(3, 5), without)
        second = self._second(stated) if self._rng.random() < _CONTINUED else None
        text = Text()
        if stated and self._rng.random() < _INTRODUCED:
            self._introduce(text, entity)
        self._tell(text, entity, stated, Reference.ANY if text.text else Reference.FULL)
        if second:
            answered = {(call.value, _INVERSE[call.relation]) for call in text.calls if call.relation in _INVERSE}
            more = [fact for fact in self._choose(second, 2, without) if fact not in answered]
            self._tell(text, second, more, Reference.CLEAR if second.pronoun == entity.pronoun else Reference.ANY)
        return text

    def prompt(self, entity: Entity, relation: str, *, introduced: bool) -> str:
        """Write a text that ends where the fact's value comes next, without a trailing space.

        The sentence gives the entity's full name; if `introduced`, one before it does, and this one may use a short
        name.
        """
        text = Text()
        if introduced:
            self._introduce(text, entity)
        self._tell(text, entity, [(entity.name, relation)], Reference.ANY if introduced else Reference.FULL)
        return text.text[: text.calls[0].at].rstrip(" ")

    def _choose(self, entity: Entity, number: int, without: Collection[Fact]) -> list[Fact]:
        facts = [(entity.name, relation) for relation in self._population.facts[entity.name]]
        facts = [fact for fact in facts if fact not in without]
        self._rng.shuffle(facts)
        return facts[:number]

    def _second(self, stated: list[Fact]) -> Entity | None:
        """Return an entity that is the only value of one of these facts, and move that fact to the end."""
        candidates = []
        for name, relation in stated:
            value = ", ".join(self._population.facts[name][relation])
            if value in self._population.by_name:
                candidates.append(((name, relation), self._population.by_name[value]))
        if not candidates:
            return None
        fact, second = self._rng.choice(candidates)
        stated.remove(fact)
        stated.append(fact)
        return second

    def _introduce(self, text: Text, entity: Entity) -> None:
        text.add(self._rng.choice(self._introductions).format(subject=entity.name) + ".")

    def _tell(self, text: Text, entity: Entity, facts: list[Fact], name: Reference) -> None:
        """Append sentences about `entity`; `name` says how the first of them may speak of it."""
        joins = False
        for place, (_, relation) in enumerate(facts):
            wording = self._rng.choice(self._wordings[relation])
            by_subject = wording.startswith(_SUBJECT)
            if joins and by_subject:
                text.add(" and ")
                wording = wording.removeprefix(_SUBJECT)
                joins = False
            else:
                text.add(". " if place else " " if text.text else "")
                joins = by_subject and self._rng.random() < _JOINED
            self._say(text, entity, relation, wording, Reference.ANY if place else name)
        text.add("." if facts else "")

    def _say(self, text: Text, entity: Entity, relation: str, wording: str, name: Reference) -> None:
        words = self._refer(entity, name)
        for literal, field, _, _ in Formatter().parse(wording):
            text.add(literal)
            if field == "value":
                text.call(entity.name, relation, ", ".join(self._population.facts[entity.name][relation]))
            elif field:
                text.add(words[field][0].upper() + words[field][1:])

    def _refer(self, entity: Entity, name: Reference) -> dict[str, str]:
        """Return how to refer to an entity, by the slot of a wording."""
        draw = self._rng.random()
        if name is Reference.ANY and draw < _PRONOUN:
            return {"subject": entity.pronoun, "possessive": entity.possessive}
        chosen = entity.name if name is Reference.FULL or draw > 1 - _FULL else self._rng.choice(entity.shorts)
        return {"subject": chosen, "possessive": possessive(chosen)}
