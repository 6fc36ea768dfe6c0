"""Takes the facts of annotated documents into a knowledge base, with file, document and characters as their source."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from lamlam.annotate.annotator import Annotator
from lamlam.annotate.shardwork import ShardWork
from lamlam.annotate.spans import facts_in
from lamlam.corpus import FactRecord
from lamlam.corpus.documents import read_documents
from lamlam.kb import AddReport, KnowledgeBase
from lamlam.kb.database import is_url
from lamlam.kb.names import normalise
from lamlam.markup import AnnotatedDocument

__all__ = ["BringsFacts", "add_facts", "check_knowledge_base"]

_LARGE = 1 << 22  # bytes of documents, from which on facts are worth another process and another file


@runtime_checkable
class BringsFacts(Protocol):
    """An annotator that is given facts; they go into the knowledge base whether or not a text states them."""

    facts: Sequence[FactRecord] | None

    def brought(self, document: AnnotatedDocument) -> Sequence[FactRecord]:
        """The facts that a document, before it is annotated, is known to state."""
        ...


def check_knowledge_base(place: str | Path | None) -> None:
    """Raises `LamLamError` where a knowledge base is named that cannot be opened."""
    if place is not None and (is_url(place) or Path(place).exists()):
        KnowledgeBase.open(place, create=True).close()


def add_facts(works: Sequence[ShardWork], annotator: Annotator, place: str | Path) -> AddReport:
    """Add the facts of all shards to a knowledge base, made where it is missing, in one transaction.

    A source names the document by its id, after the shard's name where there are several: `a.jsonl#17`.
    """
    facts = _facts(works, annotator)
    with KnowledgeBase.open_to_fill(place) as kb:
        if sum(work.out.stat().st_size for work in works) < _LARGE:
            return kb.add(facts, actor="annotate", reason=annotator.name)
        identity = " ".join(work.digest for work in works)
        return kb.load(facts, identity=identity, actor="annotate", reason=annotator.name)


def _facts(works: Sequence[ShardWork], annotator: Annotator) -> Iterator[FactRecord]:
    if isinstance(annotator, BringsFacts):
        yield from annotator.facts or ()
        yield from (fact for work in works for before in work.shard.read() for fact in annotator.brought(before))
    for work in works:
        prefix = f"{work.shard.name}#" if len(works) > 1 else ""
        for document in read_documents(work.out):
            for fact in facts_in(document):
                if all(map(normalise, (fact.entity, fact.relation, fact.value))):
                    yield replace(fact, document=prefix + document.id)
