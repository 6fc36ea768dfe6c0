"""Wikipedia introductions and the facts about their entities: what prompts are cut from, and the knowledge base."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lamlam.annotate.public_corpora import introduction_facts, other_names
from lamlam.corpus import FactRecord
from lamlam.corpus.documents import read_documents
from lamlam.evaluate.arms.prompts import Passage
from lamlam.kb.store import KnowledgeBase

__all__ = ["build_knowledge_base", "read_passages"]

PARTS = ("train", "dev")


def read_passages(folder: Path) -> dict[str, list[Passage]]:
    """The introductions of each part ("train", "dev") that have facts, with their entities' other names.

    Raises `InputError`.
    """
    facts = {part: _by_entity(folder / f"{part}.facts.jsonl.gz") for part in PARTS}
    texts = {
        part: {
            document.title: document.text
            for document in read_documents(folder / f"{part}.documents.jsonl.gz")
            if document.title in facts[part]
        }
        for part in PARTS
    }
    names = other_names({title: text for part in PARTS for title, text in texts[part].items()})
    return {
        part: [_passage(title, text, names, facts[part][title]) for title, text in texts[part].items()]
        for part in PARTS
    }


def build_knowledge_base(facts: Iterable[FactRecord], path: Path) -> None:
    """A new knowledge base of these facts."""
    with KnowledgeBase.open(path, create=True) as kb:
        kb.load(facts)


def _by_entity(path: Path) -> dict[str, list[tuple[FactRecord, bool]]]:
    facts: dict[str, list[tuple[FactRecord, bool]]] = defaultdict(list)
    for fact, stated in introduction_facts(path):
        facts[fact.entity].append((fact, stated))
    return facts


def _passage(
    title: str, text: str, names: Mapping[str, tuple[str, ...]], facts: Sequence[tuple[FactRecord, bool]]
) -> Passage:
    own = names.get(title, ())
    named = [(FactRecord(title, fact.relation, fact.value, entity_aliases=own), stated) for fact, stated in facts]
    return Passage(
        title, own, text, tuple(fact for fact, _ in named), frozenset(fact for fact, stated in named if stated)
    )
