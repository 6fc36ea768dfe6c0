"""What an invented world is made of: its settings, kinds of entities, and the relations of each kind."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Entity", "EntityKind", "Size", "ValueKind", "WorldRelation", "WorldSettings", "relations"]

Size = Literal["demo", "full"]


class WorldSettings(BaseModel):
    """How large an invented world is, and how often its training text speaks of each entity.

    `people` sets the scale: the numbers of cities, companies, universities and works follow from it. `size` sets the
    language: "demo" has ten relations and four wordings for each, "full" has all of them. Each kind of entity
    has a share `kb_only` whose facts are in the knowledge base alone. The number of documents about an entity is drawn
    from a power law: P(n) is proportional to n ** -exponent for n from 1 to `max_mentions`.

    Raises pydantic's `ValidationError`, which names the field, for unknown keys and for values out of range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: int = Field(default=3000, ge=20, description="how many people there are")
    seed: int = Field(default=0, description="the same settings and seed give the same world")
    size: Size = Field(default="full", description="demo: few relations and wordings; full: all of them")
    kb_only: float = Field(default=0.1, ge=0.0, le=0.5, description="share of entities in the knowledge base alone")
    max_mentions: int = Field(default=50, ge=1, description="most training documents that state one fact")
    exponent: float = Field(default=2.0, gt=0.0, description="of the power law of mentions")
    heldout: float = Field(default=0.05, ge=0.0, le=1.0, description="held-out documents, as a share of training's")
    probes: int = Field(default=300, ge=0, description="most probes in each group")


class EntityKind(StrEnum):
    """A kind of entity."""

    PERSON = "person"
    CITY = "city"
    COMPANY = "company"
    UNIVERSITY = "university"
    WORK = "work"


class ValueKind(StrEnum):
    """A kind of value that isn't an entity."""

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
    """Something with a name. `shorts` are the ways to refer to it, besides its pronoun, once it has been named."""

    name: str
    kind: EntityKind
    shorts: tuple[str, ...]
    seen: bool
    pronoun: str = "it"
    possessive: str = "its"


@dataclass(frozen=True, slots=True)
class WorldRelation:
    """A relation of a kind of entity. A share `chance` of the entities has it, with 1 to `most` values."""

    name: str
    subject: EntityKind
    value: EntityKind | ValueKind
    chance: float = 1.0
    most: int = 1
    demo: bool = False


_RELATIONS = (
    WorldRelation("Birth Place", EntityKind.PERSON, EntityKind.CITY, demo=True),
    WorldRelation("Birth Date", EntityKind.PERSON, ValueKind.DATE, demo=True),
    WorldRelation("Occupation", EntityKind.PERSON, ValueKind.TRADE, demo=True),
    WorldRelation("Employer", EntityKind.PERSON, EntityKind.COMPANY, demo=True),
    WorldRelation("Spouse", EntityKind.PERSON, EntityKind.PERSON, chance=0.6, demo=True),
    WorldRelation("Languages Spoken", EntityKind.PERSON, ValueKind.LANGUAGE, most=3, demo=True),
    WorldRelation("Alma Mater", EntityKind.PERSON, EntityKind.UNIVERSITY, chance=0.7),
    WorldRelation("Residence", EntityKind.PERSON, EntityKind.CITY),
    WorldRelation("Works Written", EntityKind.PERSON, EntityKind.WORK, chance=0.15, most=3),
    WorldRelation("Awards Received", EntityKind.PERSON, ValueKind.AWARD, chance=0.3, most=3),
    WorldRelation("Country", EntityKind.CITY, ValueKind.COUNTRY, demo=True),
    WorldRelation("Mayor", EntityKind.CITY, EntityKind.PERSON, demo=True),
    WorldRelation("Population", EntityKind.CITY, ValueKind.NUMBER),
    WorldRelation("Headquarters", EntityKind.COMPANY, EntityKind.CITY, demo=True),
    WorldRelation("Founder", EntityKind.COMPANY, EntityKind.PERSON, demo=True),
    WorldRelation("Product", EntityKind.COMPANY, ValueKind.GOODS),
    WorldRelation("Year Founded", EntityKind.COMPANY, ValueKind.YEAR),
    WorldRelation("Year Founded", EntityKind.UNIVERSITY, ValueKind.YEAR),
    WorldRelation("Location", EntityKind.UNIVERSITY, EntityKind.CITY),
    WorldRelation("Rector", EntityKind.UNIVERSITY, EntityKind.PERSON),
    WorldRelation("Author", EntityKind.WORK, EntityKind.PERSON),
    WorldRelation("Genre", EntityKind.WORK, ValueKind.GENRE),
    WorldRelation("Year Published", EntityKind.WORK, ValueKind.YEAR),
)


def relations(size: Size) -> tuple[WorldRelation, ...]:
    """Return the relations of a world of this size, grouped by kind, in the order in which facts are listed."""
    return tuple(relation for relation in _RELATIONS if size == "full" or relation.demo)
