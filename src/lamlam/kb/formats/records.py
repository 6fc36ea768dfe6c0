"""The records that a knowledge base's facts make in a file."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lamlam.corpus.corpus import FactRecord
from lamlam.kb.fact import Fact

if TYPE_CHECKING:
    from lamlam.kb.view import View

__all__ = ["records"]


def records(kb: "View", facts: Iterable[Fact]) -> Iterator[FactRecord]:
    """A record for each source of a fact, or one without; aliases go with the first record of what they name."""
    aliases: dict[tuple[str, str], list[str]] = {}
    for kind, alias, name in kb.aliases():
        aliases.setdefault((kind, name), []).append(alias)
    for fact in facts:
        for source in fact.sources or (None,):
            yield FactRecord(
                fact.entity,
                fact.relation,
                fact.value,
                document=source.document if source else None,
                start=source.start if source else None,
                end=source.end if source else None,
                entity_aliases=tuple(aliases.pop(("entity", fact.entity), ())),
                relation_aliases=tuple(aliases.pop(("relation", fact.relation), ())),
            )
