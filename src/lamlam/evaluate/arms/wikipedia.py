"""Wikipedia introductions and the facts about their entities: what prompts are cut from, and the knowledge base."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from lamlam.corpus import FactRecord
from lamlam.corpus.documents import read_documents
from lamlam.corpus.lines import read_entries
from lamlam.corpus.titles import bare_title
from lamlam.evaluate.arms.prompts import Passage
from lamlam.kb.store import KnowledgeBase

__all__ = ["build_knowledge_base", "read_passages", "with_bare_names"]


def read_passages(folder: Path, part: str) -> list[Passage]:
    """The introductions of a part ("train", "dev") that have facts. Raises `InputError`."""
    facts: dict[str, list[FactRecord]] = defaultdict(list)
    stated: dict[str, list[FactRecord]] = defaultdict(list)
    for entry in read_entries(folder / f"{part}.facts.jsonl.gz"):
        fact = FactRecord(entry.text("entity"), entry.text("relation"), entry.text("value"))
        facts[fact.entity].append(fact)
        if entry.value.get("stated") is True:
            stated[fact.entity].append(fact)
    return [
        Passage(document.title, document.text, tuple(facts[document.title]), frozenset(stated[document.title]))
        for document in read_documents(folder / f"{part}.documents.jsonl.gz")
        if document.title in facts
    ]


def build_knowledge_base(facts: Iterable[FactRecord], path: Path) -> str:
    """A new knowledge base of these facts, their entities also called by their names without brackets; its digest."""
    with KnowledgeBase.open(path, create=True) as kb:
        kb.load(with_bare_names(facts))
        return kb.digest()


def with_bare_names(facts: Iterable[FactRecord]) -> Iterator[FactRecord]:
    """The facts, with "Jaws" for an alias of "Jaws (film)" where no other entity is called so."""
    facts = list(facts)
    meant = Counter(bare_title(entity) for entity in {fact.entity for fact in facts})
    for fact in facts:
        bare = bare_title(fact.entity)
        aliases = (bare,) if bare != fact.entity and meant[bare] == 1 else ()
        yield FactRecord(fact.entity, fact.relation, fact.value, entity_aliases=aliases)
