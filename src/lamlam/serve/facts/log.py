"""Routes of the log: who changed what, when and why; undo."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from lamlam.kb import KnowledgeBase
from lamlam.serve.access import Editor, Reader
from lamlam.serve.errors import Fault
from lamlam.serve.facts.messages import MOST, Log, LogEntry, Reasoned, RevisionChanges, Undone, said
from lamlam.serve.state import StateOf

__all__ = ["Number", "router"]

router = APIRouter(prefix="/kb", tags=["log"])

Number = Annotated[int, Path(ge=1, le=MOST, description="A revision's number.")]


@router.get("/log")
async def show_log(
    state: StateOf,
    _: Reader,
    before: Annotated[int | None, Query(ge=1, le=MOST)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Log:
    """List revisions, newest first, page by page."""
    entries = await state.knowledge.read(lambda kb: kb.log_page(before, limit))
    more = entries[-1].id if entries and entries[-1].id > 1 else None
    return Log(revisions=[LogEntry.model_validate(entry, from_attributes=True) for entry in entries], next=more)


@router.get("/revisions/{revision}")
async def show_revision(revision: Number, state: StateOf, _: Reader) -> RevisionChanges:
    """Show one revision and the facts it added and ended."""

    def ask(kb: KnowledgeBase) -> RevisionChanges:
        entry = _entry(kb, revision)
        began, ended = kb.changes_of(revision)
        return RevisionChanges(revision=entry, began=said(began), ended=said(ended))

    return await state.knowledge.read(ask)


@router.post("/revisions/{revision}/undo")
async def undo_revision(revision: Number, state: StateOf, actor: Editor, asked: Reasoned | None = None) -> Undone:
    """Undo a revision with a new one. Forgotten facts, and facts changed since, can't be restored."""

    def change(kb: KnowledgeBase) -> Undone:
        _entry(kb, revision)
        changed = kb.undo(revision, actor=actor.name, reason=asked.reason if asked else "")
        return Undone(changed=changed, revision=kb.written or 0)

    return await state.knowledge.write(change)


def _entry(kb: KnowledgeBase, revision: int) -> LogEntry:
    found = kb.log_page(revision + 1, 1)
    if not found or found[0].id != revision:
        raise Fault(404, f"there is no revision {revision}")
    return LogEntry.model_validate(found[0], from_attributes=True)
