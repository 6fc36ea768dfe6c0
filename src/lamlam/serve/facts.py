"""The routes of the knowledge base, `/kb/...`."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from lamlam.serve.access import Reader
from lamlam.serve.site import SiteOf

__all__ = ["router"]

router = APIRouter(prefix="/kb", tags=["knowledge base"])


@router.get("")
async def stats(site: SiteOf, _: Reader) -> dict[str, Any]:
    """Count what the knowledge base holds. `examples` are prompts to begin with."""
    counts = await site.knowledge.read(lambda kb: asdict(kb.stats()) | {"revision": kb.revision})
    return counts | {"examples": site.served.examples}
