"""The entities of an invented world and everything that is true of them.

Entities that are in the knowledge base alone may be bound to any other, but nothing that training text speaks of is
bound to them: its facts have seen entities and plain words as values.
"""

from math import ceil
from random import Random

from lamlam.text import MONTHS
from lamlam.world.names import NameForge
from lamlam.world.schema import Entity, EntityKind, ValueKind, WorldRelation, WorldSettings, relations

__all__ = ["Population"]

# One entity of a kind for so many people.
_PEOPLE_PER = {EntityKind.CITY: 10, EntityKind.COMPANY: 10, EntityKind.UNIVERSITY: 30}
_FEWEST = 8
_ALIVE = (1930, 1999)  # years of birth
_TRADES = (
    "bridge brass canal cellar cheese copper court ferry flower forest garden glass harbour horse lamp market paper "
    "piano river roof ship silver stage stone tower timber village wagon water wool",
    "broker builder buyer clerk dealer designer doctor driver guard historian inspector keeper lawyer maker manager "
    "merchant mover officer painter planner reporter scholar singer surveyor teacher tester trader tuner warden writer",
)
_GOODS = (
    "blue bronze carved cheap clay copper dried folding glass golden green heavy iron light linen oak painted paper "
    "silver small tin wooden",
    "barrels bells boats boots bottles bowls brushes chairs clocks doors drums gloves hats keys kites knives lamps "
    "mirrors pens ropes shelves spoons tables toys",
)
_GENRES = (
    "bitter brief comic courtly dark desert family forest gothic lyric mountain pastoral romantic rural sea theatrical "
    "war winter",
    "ballad chronicle comedy diary drama fable legend memoir mystery novel play poem romance saga satire tale tragedy",
)


class Population:
    """Entities by kind, and `facts`: for each name, its relations and their values, in the order of the schema."""

    def __init__(self, settings: WorldSettings) -> None:
        self._settings = settings
        self._rng = Random(f"{settings.seed}:population")
        self._forge = NameForge(Random(f"{settings.seed}:names"), diacritics=settings.size == "full")
        self.relations = relations(settings.size)
        self.entities: dict[EntityKind, list[Entity]] = {}
        self.facts: dict[str, dict[str, tuple[str, ...]]] = {}
        self._literals = self._make_literals()
        self._make_entities()
        self._seen = {kind: [entity for entity in some if entity.seen] for kind, some in self.entities.items()}
        self._spouses = self._marry()
        self._works = self._write_works()
        self._make_facts()
        self.by_name = {entity.name: entity for some in self.entities.values() for entity in some}

    def _make_literals(self) -> dict[ValueKind, list[str]]:
        forge = self._forge
        return {
            ValueKind.LANGUAGE: [forge.language() for _ in range(60)],
            ValueKind.COUNTRY: [forge.country() for _ in range(60)],
            ValueKind.AWARD: [forge.award() for _ in range(80)],
            ValueKind.TRADE: _pairs(_TRADES),
            ValueKind.GOODS: _pairs(_GOODS),
            ValueKind.GENRE: _pairs(_GENRES),
        }

    def _make_entities(self) -> None:
        subjects = {relation.subject for relation in self.relations}
        makers = {
            EntityKind.CITY: self._city,
            EntityKind.COMPANY: self._company,
            EntityKind.UNIVERSITY: self._university,
        }
        flags = self._seen_flags(self._settings.people)
        names = self._forge.people(self._settings.people)
        self.entities[EntityKind.PERSON] = [
            self._person(first, last, seen) for (first, last), seen in zip(names, flags, strict=True)
        ]
        for kind, make in makers.items():
            if kind in subjects:
                flags = self._seen_flags(max(_FEWEST, self._settings.people // _PEOPLE_PER[kind]))
                self.entities[kind] = [make(seen) for seen in flags]

    def _seen_flags(self, number: int) -> list[bool]:
        hidden = ceil(self._settings.kb_only * number)
        flags = [False] * hidden + [True] * (number - hidden)
        self._rng.shuffle(flags)
        return flags

    def _person(self, first: str, last: str, seen: bool) -> Entity:
        pronoun, possessive = self._rng.choice((("he", "his"), ("she", "her")))
        return Entity(f"{first} {last}", EntityKind.PERSON, (last,), seen, pronoun, possessive)

    def _city(self, seen: bool) -> Entity:
        return Entity(self._forge.city(), EntityKind.CITY, ("the city", "the town"), seen)

    def _company(self, seen: bool) -> Entity:
        name, word = self._forge.company()
        return Entity(name, EntityKind.COMPANY, ("the company", word), seen)

    def _university(self, seen: bool) -> Entity:
        return Entity(self._forge.university(), EntityKind.UNIVERSITY, ("the university", "the school"), seen)

    def _marry(self) -> dict[str, str]:
        """Return pairs of people who are both seen or both unseen, and don't share a last name."""
        chance = next(relation.chance for relation in self.relations if relation.name == "Spouse")
        spouses: dict[str, str] = {}
        for seen in (True, False):
            people = [person for person in self.entities[EntityKind.PERSON] if person.seen is seen]
            self._rng.shuffle(people)
            couples = list(zip(people[::2], people[1::2], strict=False))
            for one, other in couples[: round(chance * len(couples))]:
                if one.shorts != other.shorts:
                    spouses |= {one.name: other.name, other.name: one.name}
        return spouses

    def _write_works(self) -> dict[str, tuple[str, ...]]:
        """Return titles by author; a work is seen if its author is. A world without works has no authors."""
        written: dict[str, tuple[str, ...]] = {}
        for relation in self.relations:
            if relation.name != "Works Written":
                continue
            self.entities[EntityKind.WORK] = []
            for author in self.entities[EntityKind.PERSON]:
                if self._rng.random() < relation.chance:
                    titles = tuple(self._forge.title() for _ in range(self._rng.randint(1, relation.most)))
                    written[author.name] = titles
                    self.entities[EntityKind.WORK] += [
                        Entity(title, EntityKind.WORK, ("the book", "the text"), author.seen) for title in titles
                    ]
        return written

    def _make_facts(self) -> None:
        authors: dict[str, tuple[str, ...]] = {
            title: (author,) for author, titles in self._works.items() for title in titles
        }
        special: dict[str, dict[str, tuple[str, ...]]] = {
            "Spouse": {name: (spouse,) for name, spouse in self._spouses.items()},
            "Works Written": self._works,
            "Author": authors,
        }
        for kind, entities in self.entities.items():
            of_kind = [relation for relation in self.relations if relation.subject is kind]
            for entity in entities:
                facts = self.facts[entity.name] = {}
                for relation in of_kind:
                    if relation.name in special:
                        values = special[relation.name].get(entity.name, ())
                    else:
                        values = self._values(entity, relation)
                    if values:
                        facts[relation.name] = values

    def _values(self, entity: Entity, relation: WorldRelation) -> tuple[str, ...]:
        if self._rng.random() >= relation.chance:
            return ()
        number = self._rng.randint(1, relation.most)
        values: dict[str, None] = {}
        while len(values) < number:
            values[self._value(entity, relation.value)] = None
        return tuple(values)

    def _value(self, entity: Entity, value: EntityKind | ValueKind) -> str:
        rng = self._rng
        if isinstance(value, EntityKind):
            return rng.choice((self._seen if entity.seen else self.entities)[value]).name
        if value is ValueKind.DATE:
            return f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(*_ALIVE)}"
        if value is ValueKind.YEAR:
            return str(rng.randint(_ALIVE[0] + 20, _ALIVE[1] + 25))
        if value is ValueKind.NUMBER:
            return f"{rng.randint(2_000, 900_000):,}"
        return rng.choice(self._literals[value])


def _pairs(words: tuple[str, str]) -> list[str]:
    return [f"{left} {right}" for left in words[0].split() for right in words[1].split()]
