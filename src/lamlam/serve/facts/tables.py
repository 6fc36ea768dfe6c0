"""Routes to download facts as CSV and to upload an edited table as one revision."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from lamlam.kb import KnowledgeBase
from lamlam.kb.view import FactPage
from lamlam.serve.access import Editor, Reader
from lamlam.serve.errors import Fault
from lamlam.serve.facts.messages import TableReport, Why
from lamlam.serve.facts.reading import Entity, Kind
from lamlam.serve.facts.table import change_by_table, read_table, written
from lamlam.serve.state import StateOf

__all__ = ["router"]

router = APIRouter(prefix="/kb", tags=["tables"])

_CSV = {"text/csv": {"schema": {"type": "string"}}}


@router.get("/facts.csv", responses={200: {"content": _CSV}}, response_class=StreamingResponse)
async def download_table(
    state: StateOf, _: Reader, entity: Entity | None = None, relation: Kind | None = None
) -> StreamingResponse:
    """Download the facts of an entity or a relation as CSV (id, entity, relation, value), all from one revision.

    Refused if there are more facts than one upload may have.
    """
    most = state.settings.max_facts

    def ask(kb: KnowledgeBase) -> FactPage:
        return kb.page(entity=entity, relation=relation, limit=most)

    page = await state.knowledge.read(ask)
    if page.next is not None:
        raise Fault(422, f"more than {most} facts match; narrow the entity or relation")
    headers = {"Content-Disposition": 'attachment; filename="facts.csv"'}
    return StreamingResponse(written(page.facts), media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/facts.csv", openapi_extra={"requestBody": {"content": _CSV}})
async def upload_table(
    request: Request,
    state: StateOf,
    actor: Editor,
    dry_run: Annotated[bool, Query(description="Only preview.")] = True,
    reason: Annotated[Why, Query()] = "",
) -> TableReport:
    """Apply a table: a row with an id and a new value is an edit, a row without an id is added.

    The columns are id, entity, relation and value, in any order. The table is one revision; if a row is refused,
    nothing is written, and a dry run says which rows and why. Cells are stored as they are.
    """
    rows = read_table(await request.body(), state.settings.max_facts)
    return await state.knowledge.write(lambda kb: change_by_table(kb, rows, dry_run, actor.name, reason))
