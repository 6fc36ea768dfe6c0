"""The knowledge-base routes, `/kb/...`: reading, changing, tables, forgetting, the log."""

from fastapi import APIRouter

from lamlam.serve.facts import changing, forgetting, log, reading, tables

__all__ = ["router"]

router = APIRouter()
for _part in (reading, changing, tables, forgetting, log):
    router.include_router(_part.router)
