"""What the engine asks of a knowledge base."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from lamlam.errors import LamLamError
from lamlam.kb.fact import Resolution

__all__ = ["FactSource", "as_of"]


class FactSource(Protocol):
    """The part of `lamlam.kb.KnowledgeBase` that decoding needs; anything with these methods will do."""

    def lookup_many(self, pairs: Sequence[tuple[str, str]]) -> Sequence[Resolution]:
        """A resolution for each (entity, relation), in order."""
        ...

    def nearest(self, entity: str, relation: str) -> Resolution:
        """The most similar fact, however unlike; without facts only where there are none at all."""
        ...

    def entities_named(self, names: Sequence[str]) -> Mapping[str, str]:
        """Of the given names those that an entity bears, each with the entity's canonical name."""
        ...

    def entities_starting(self, prefix: str, limit: int) -> Sequence[str]:
        """At most `limit` names, other names of entities included, that begin with `prefix` but for upper case."""
        ...

    def relations_of(self, entity: str) -> Sequence[str]:
        """Names of the relations that the entity has or had; none where these cannot all be told."""
        ...


def as_of(source: FactSource, revision: int | None) -> FactSource:
    """The source as it stood at a revision; itself where none is given.

    Raises `LamLamError` when the source has no such revision, or keeps none.
    """
    if revision is None:
        return source
    at: Callable[[int], FactSource] | None = getattr(source, "at", None)
    if at is None:
        raise LamLamError("this source of facts keeps no revisions")
    return at(revision)
