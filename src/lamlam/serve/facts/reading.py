"""Routes that look up, search and list facts, and show a fact's history and passages."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query

from lamlam import kb
from lamlam.errors import InputError
from lamlam.kb import KnowledgeBase
from lamlam.serve.access import Reader
from lamlam.serve.errors import Fault
from lamlam.serve.facts.messages import (
    MOST,
    NAME,
    VALUE,
    Alias,
    Aliases,
    Counts,
    Facts,
    FoundName,
    Page,
    Passage,
    Passages,
    Relation,
    Relations,
    Resolution,
    Search,
    said,
)
from lamlam.serve.protocol import Fact
from lamlam.serve.state import AppState, StateOf

__all__ = ["Id", "known_fact", "router"]

router = APIRouter(prefix="/kb", tags=["facts"])

Id = Annotated[int, Path(ge=1, le=MOST, description="A fact's id.")]
Entity = Annotated[str, Query(max_length=NAME, description="An entity's name or alias.")]
Kind = Annotated[str, Query(max_length=NAME, description="A relation's name or alias.")]

_AROUND = 600  # characters of a passage on each side of the span
_RELATIONS = 1000


def known_fact(kb: KnowledgeBase, fact_id: int) -> kb.Fact:
    """Return a past or present fact. Raises `Fault` (404) if it doesn't exist."""
    try:
        return kb.fact(fact_id)
    except InputError as error:
        raise Fault(404, error.reason) from None


@router.get("")
async def count(state: StateOf, _: Reader) -> Counts:
    """Return counts and example prompts.

    If counting is slow, counts may be a minute old.
    """
    stats = await state.knowledge.count("stats", lambda kb: kb.stats())
    frequent = [{"name": name, "facts": facts} for name, facts in stats.frequent]
    revision = await state.knowledge.read(lambda kb: kb.revision)
    more = {"frequent": frequent, "revision": revision, "examples": state.served.examples}
    return Counts.model_validate(asdict(stats) | more)


@router.get("/lookup")
async def look_up(
    state: StateOf,
    _: Reader,
    entity: Entity,
    relation: Kind,
    revision: Annotated[int | None, Query(ge=0, le=MOST)] = None,
) -> Resolution:
    """Look up a relation of an entity as the model does, now or as of a revision."""

    def ask(kb: KnowledgeBase) -> Resolution:
        if revision is not None and revision > kb.revision:
            raise Fault(404, f"there is no revision {revision}", field="revision")
        found = (kb if revision is None else kb.at(revision)).lookup(entity, relation)
        return Resolution(
            entity=found.entity,
            relation=found.relation,
            status=found.status,
            score=found.score,
            facts=said(found.facts),
            candidates=list(found.candidates),
        )

    return await state.knowledge.read(ask)


@router.get("/search")
async def search_names(
    state: StateOf,
    _: Reader,
    q: Annotated[str, Query(max_length=NAME)],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Search:
    """Find names and aliases of entities by prefix."""
    found = await state.knowledge.read(lambda kb: kb.names_starting(q, limit))
    return Search(entities=[FoundName(name=name, entity=entity) for name, entity in found])


@router.get("/facts")
async def list_facts(
    state: StateOf,
    _: Reader,
    entity: Entity | None = None,
    relation: Kind | None = None,
    source: Annotated[str | None, Query(max_length=NAME, description="A document's id.")] = None,
    text: Annotated[str | None, Query(max_length=VALUE, description="Part of the value, case-insensitive.")] = None,
    after: Annotated[int, Query(ge=0, le=MOST)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Page:
    """List current facts by id, page by page.

    Text search has no index: each page scans at most about 20,000 values, and may be short or empty and still have a
    `next`.
    """
    wanted = {"entity": entity, "relation": relation, "source": source, "text": text}
    page = await state.knowledge.read(lambda kb: kb.page(**wanted, after=after, limit=limit))
    return Page(facts=said(page.facts), next=page.next)


@router.get("/relations")
async def list_relations(state: StateOf, _: Reader) -> Relations:
    """List the thousand most frequent relations with their numbers of current facts, counted as for `/kb`."""
    found = await state.knowledge.count("relations", lambda kb: kb.relation_counts()[:_RELATIONS])
    return Relations(relations=[Relation(name=name, facts=facts) for name, facts in found])


@router.get("/facts/{fact}")
async def show_fact(fact: Id, state: StateOf, _: Reader) -> Fact:
    """Show a past or present fact by its id."""
    return await state.knowledge.read(lambda kb: said([known_fact(kb, fact)])[0])


@router.get("/facts/{fact}/history")
async def show_history(fact: Id, state: StateOf, _: Reader) -> Facts:
    """Show a fact's predecessors and successors, by id."""

    def ask(kb: KnowledgeBase) -> Facts:
        return Facts(facts=said(kb.history(known_fact(kb, fact).id)))

    return await state.knowledge.read(ask)


@router.get("/facts/{fact}/passages")
async def show_passages(fact: Id, state: StateOf, _: Reader) -> Passages:
    """Show the text around each source of a fact. Forgotten facts have none."""
    return await state.knowledge.read(lambda kb: Passages(passages=_passages(state, known_fact(kb, fact))))


@router.get("/aliases")
async def list_aliases(state: StateOf, _: Reader, entity: Entity) -> Aliases:
    """List an entity's aliases, each with the revision that added it."""
    found = await state.knowledge.read(lambda kb: kb.aliases_of(entity))
    return Aliases(aliases=[Alias(name=name, since=since) for name, since in found])


def _passages(state: AppState, fact: kb.Fact) -> list[Passage]:
    found = []
    for source in fact.sources:
        text = state.documents.text(source.document)
        begin = max(0, (source.start or 0) - _AROUND)
        end = (source.end or source.start or 0) + _AROUND
        excerpt = "" if text is None else text[begin:end]
        found.append(
            Passage(
                document=source.document,
                start=source.start,
                end=source.end,
                text=excerpt,
                offset=begin,
                found=text is not None,
            )
        )
    return found
