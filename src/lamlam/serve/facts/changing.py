"""Routes that change facts: adding, editing, retracting, and names that mean the same. Each is one revision."""

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
    """Add facts, all of them or none. What is known gains a source; what was forgotten is refused and told."""
    if len(asked.facts) > state.settings.max_facts:
        raise Fault(422, f"a request may add {state.settings.max_facts} facts", field="facts")

    def change(kb: KnowledgeBase) -> Added:
        report = kb.add((fact.as_record() for fact in asked.facts), actor=actor.name, reason=asked.reason)
        refused = [Statement(entity=each.entity, relation=each.relation, value=each.value) for each in report.refused]
        return Added(added=report.added, known=report.known, refused=refused, revision=kb.written or 0)

    return await state.knowledge.write(change)


@router.patch("/facts/{fact}")
async def edit_fact(fact: Id, asked: Edit, state: StateOf, actor: Editor) -> Fact:
    """Edit a fact: it ends, and a new one with another value takes its place. The answer is the new one."""

    def change(kb: KnowledgeBase) -> Fact:
        known_fact(kb, fact)
        source = None if asked.source is None else asked.source.as_source()
        return said([kb.edit(fact, value=asked.value, source=source, actor=actor.name, reason=asked.reason)])[0]

    return await state.knowledge.write(change)


@router.post("/facts/{fact}/retract")
async def retract_fact(fact: Id, state: StateOf, actor: Editor, asked: Reasoned | None = None) -> Fact:
    """Retract a fact: it does not hold any more; its history stays."""

    def change(kb: KnowledgeBase) -> Fact:
        known_fact(kb, fact)
        return said([kb.retract(fact, actor=actor.name, reason=asked.reason if asked else "")])[0]

    return await state.knowledge.write(change)


@router.post("/aliases")
async def add_alias(asked: NewAlias, state: StateOf, actor: Editor) -> AliasAnswer:
    """Let a name stand for an entity, a relation, or a value as well."""
    target = {"entity": asked.entity, "relation": asked.relation, "value": asked.value}

    def change(kb: KnowledgeBase) -> bool:
        return kb.alias(asked.name, **target, actor=actor.name, reason=asked.reason)

    return AliasAnswer(added=await state.knowledge.write(change))
