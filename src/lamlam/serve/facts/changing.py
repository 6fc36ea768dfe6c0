"""Routes that add, edit, retract and alias. Each request is one revision."""

from fastapi import APIRouter

from lamlam.kb import KnowledgeBase
from lamlam.serve.access import Editor
from lamlam.serve.errors import Fault
from lamlam.serve.facts.messages import (
    Added,
    AliasAnswer,
    Edit,
    NewAlias,
    NewFacts,
    Reasoned,
    Statement,
    said,
)
from lamlam.serve.facts.reading import Id, known_fact
from lamlam.serve.protocol import Fact
from lamlam.serve.state import StateOf

__all__ = ["router"]

router = APIRouter(prefix="/kb", tags=["changes"])


@router.post("/facts")
async def add_facts(asked: NewFacts, state: StateOf, actor: Editor) -> Added:
    """Add facts, all or none. Known facts gain a source; forgotten ones are refused and listed."""
    if len(asked.facts) > state.settings.max_facts:
        raise Fault(422, f"a request may add at most {state.settings.max_facts} facts", field="facts")

    def change(kb: KnowledgeBase) -> Added:
        report = kb.add((fact.as_record() for fact in asked.facts), actor=actor.name, reason=asked.reason)
        refused = [Statement(entity=each.entity, relation=each.relation, value=each.value) for each in report.refused]
        return Added(added=report.added, known=report.known, refused=refused, revision=kb.written or 0)

    return await state.knowledge.write(change)


@router.patch("/facts/{fact}")
async def edit_fact(fact: Id, asked: Edit, state: StateOf, actor: Editor) -> Fact:
    """Edit a fact: it ends, and a new one with the new value replaces it. Returns the new fact."""

    def change(kb: KnowledgeBase) -> Fact:
        known_fact(kb, fact)
        source = None if asked.source is None else asked.source.as_source()
        return said([kb.edit(fact, value=asked.value, source=source, actor=actor.name, reason=asked.reason)])[0]

    return await state.knowledge.write(change)


@router.post("/facts/{fact}/retract")
async def retract_fact(fact: Id, state: StateOf, actor: Editor, asked: Reasoned | None = None) -> Fact:
    """Retract a fact: it ends; its history stays."""

    def change(kb: KnowledgeBase) -> Fact:
        known_fact(kb, fact)
        return said([kb.retract(fact, actor=actor.name, reason=asked.reason if asked else "")])[0]

    return await state.knowledge.write(change)


@router.post("/aliases")
async def add_alias(asked: NewAlias, state: StateOf, actor: Editor) -> AliasAnswer:
    """Add an alias of an entity, a relation or a value."""
    target = {"entity": asked.entity, "relation": asked.relation, "value": asked.value}

    def change(kb: KnowledgeBase) -> bool:
        return kb.alias(asked.name, **target, actor=actor.name, reason=asked.reason)

    return AliasAnswer(added=await state.knowledge.write(change))
