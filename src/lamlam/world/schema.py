"""What there is in an invented world: kinds of entities, and the relations that each kind has."""

from dataclasses import dataclass
from enum import StrEnum

from lamlam.world.settings import Size

__all__ = ["Entity", "Kind", "Literal", "Relation", "relations"]


class Kind(StrEnum):
    """A kind of entity."""

    PERSON = "person"
    CITY = "city"
    COMPANY = "company"
    UNIVERSITY = "university"
    WORK = "work"


class Literal(StrEnum):
    """A kind of value that is no entity."""

    DATE = "date"
    YEAR = "year"
    NUMBER = "number"
    TRADE = "trade"
    LANGUAGE = "language"
    AWARD = "award"
    COUNTRY = "country"
    GOODS = "goods"
    GENRE = "genre"


@dataclass(frozen=True, slots=True)
class Entity:
    """Something with a name. `shorts` are the ways to speak of it, beside its pronoun, once it has been named."""

    name: str
    kind: Kind
    shorts: tuple[str, ...]
    seen: bool
    pronoun: str = "it"
    possessive: str = "its"


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation of a kind of entity. A share `chance` of the entities has it, with 1 to `most` values."""

    name: str
    subject: Kind
    value: Kind | Literal
    chance: float = 1.0
    most: int = 1
    demo: bool = False


_RELATIONS = (
    Relation("Birth Place", Kind.PERSON, Kind.CITY, demo=True),
    Relation("Birth Date", Kind.PERSON, Literal.DATE, demo=True),
    Relation("Occupation", Kind.PERSON, Literal.TRADE, demo=True),
    Relation("Employer", Kind.PERSON, Kind.COMPANY, demo=True),
    Relation("Spouse", Kind.PERSON, Kind.PERSON, chance=0.6, demo=True),
    Relation("Languages Spoken", Kind.PERSON, Literal.LANGUAGE, most=3, demo=True),
    Relation("Alma Mater", Kind.PERSON, Kind.UNIVERSITY, chance=0.7),
    Relation("Residence", Kind.PERSON, Kind.CITY),
    Relation("Works Written", Kind.PERSON, Kind.WORK, chance=0.15, most=3),
    Relation("Awards Received", Kind.PERSON, Literal.AWARD, chance=0.3, most=3),
    Relation("Country", Kind.CITY, Literal.COUNTRY, demo=True),
    Relation("Mayor", Kind.CITY, Kind.PERSON, demo=True),
    Relation("Population", Kind.CITY, Literal.NUMBER),
    Relation("Headquarters", Kind.COMPANY, Kind.CITY, demo=True),
    Relation("Founder", Kind.COMPANY, Kind.PERSON, demo=True),
    Relation("Product", Kind.COMPANY, Literal.GOODS),
    Relation("Year Founded", Kind.COMPANY, Literal.YEAR),
    Relation("Year Founded", Kind.UNIVERSITY, Literal.YEAR),
    Relation("Location", Kind.UNIVERSITY, Kind.CITY),
    Relation("Rector", Kind.UNIVERSITY, Kind.PERSON),
    Relation("Author", Kind.WORK, Kind.PERSON),
    Relation("Genre", Kind.WORK, Literal.GENRE),
    Relation("Year Published", Kind.WORK, Literal.YEAR),
)


def relations(size: Size) -> tuple[Relation, ...]:
    """The relations of a world of this size, those of one kind together, in the order in which facts are listed."""
    return tuple(relation for relation in _RELATIONS if size == "full" or relation.demo)
