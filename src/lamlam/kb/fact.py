"""What a knowledge base holds, and what a lookup in it finds."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Fact", "Resolution", "Source", "Status"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact was read: a document's id and, if known, a character span [start, end) of its text."""

    document: str
    start: int | None = None
    end: int | None = None

    def __str__(self) -> str:
        return self.document if self.start is None else f"{self.document}:{self.start}-{self.end}"


@dataclass(frozen=True, slots=True)
class Fact:
    """A proposition with an identity. It holds from revision `since` up to, not including, `until`.

    `supersedes` is the id of the fact that an edit replaced with this one.
    """

    id: int
    entity: str
    relation: str
    value: str
    sources: tuple[Source, ...] = ()
    since: int = 0
    until: int | None = None
    supersedes: int | None = None


class Status(StrEnum):
    """How a lookup was resolved."""

    EXACT = "exact"
    ALIAS = "alias"
    FUZZY = "fuzzy"
    AMBIGUOUS = "ambiguous"
    UNKNOWN_ENTITY = "unknown_entity"
    UNKNOWN_RELATION = "unknown_relation"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a lookup found: the facts in the order of their ids, or an honest status without any.

    `score` is 1.0 for exact and alias, the similarity for fuzzy, 0.0 for a miss. `candidates` names the entities or
    relations between which an ambiguous lookup could not choose.
    """

    entity: str
    relation: str
    status: Status
    facts: tuple[Fact, ...] = ()
    score: float = 0.0
    candidates: tuple[str, ...] = ()

    @property
    def found(self) -> bool:
        return bool(self.facts)

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(fact.value for fact in self.facts)

    @property
    def text(self) -> str:
        """The values as they enter a text: joined by ", "; empty on a miss."""
        return ", ".join(self.values)
