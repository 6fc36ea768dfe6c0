"""Routes that preview forgetting, erase, and list certificates."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from lamlam.kb import Certificate, KnowledgeBase
from lamlam.serve.access import Editor, Reader, Role
from lamlam.serve.errors import Fault
from lamlam.serve.facts.log import Number
from lamlam.serve.facts.messages import MOST, Certificates, Forgotten, ForgottenFact, ToForget, said
from lamlam.serve.facts.reading import known_fact
from lamlam.serve.state import StateOf

__all__ = ["router"]

router = APIRouter(prefix="/kb", tags=["forgetting"])

_SHOWN = 500


@router.post("/forget")
async def forget(asked: ToForget, state: StateOf, actor: Editor) -> Forgotten:
    """Preview forgetting; with `dry_run` false (role eraser), erase for good.

    Responds once the files have been searched and the certificate is stored.
    """
    if asked.dry_run:
        return await state.knowledge.read(lambda kb: _planned(kb, asked))
    if not actor.role.allows(Role.ERASER):
        raise Fault(403, f"erasing requires a token with role {Role.ERASER}", headers={"WWW-Authenticate": "Bearer"})

    def change(kb: KnowledgeBase) -> Certificate:
        _check(kb, asked)
        return kb.forget(**asked.described(), actor=actor.name, reason=asked.reason)

    certificate = await state.knowledge.write(change)
    return Forgotten(certificate=certificate.as_json(), facts=[], related=[])


@router.get("/certificates")
async def list_certificates(
    state: StateOf,
    _: Reader,
    before: Annotated[int | None, Query(ge=1, le=MOST)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Certificates:
    """List certificates, newest first, page by page."""

    def ask(kb: KnowledgeBase) -> Certificates:
        revisions = [number for number in kb.certified() if before is None or number < before]
        shown = (kb.certificate(number) for number in revisions[:limit])
        more = revisions[limit - 1] if len(revisions) > limit else None
        return Certificates(certificates=[each for each in shown if each is not None], next=more)

    return await state.knowledge.read(ask)


@router.get("/certificates/{revision}", response_model=dict[str, Any])
async def show_certificate(revision: Number, state: StateOf, _: Reader) -> JSONResponse:
    """Download the certificate of a revision."""
    certificate = await state.knowledge.read(lambda kb: kb.certificate(revision))
    if certificate is None:
        raise Fault(404, f"there is no certificate for revision {revision}")
    name = f"certificate-{revision}.json"
    return JSONResponse(certificate, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _planned(kb: KnowledgeBase, asked: ToForget) -> Forgotten:
    _check(kb, asked)
    certificate = kb.forget(**asked.described(), dry_run=True)
    return Forgotten(
        certificate=certificate.as_json(),
        facts=_with_reasons(kb, certificate.facts, certificate.reasons),
        related=_with_reasons(kb, certificate.related, certificate.related_reasons),
    )


def _with_reasons(kb: KnowledgeBase, facts: Sequence[int], reasons: Sequence[str]) -> list[ForgottenFact]:
    """Return the first facts by id, each with its reason."""
    why = dict(zip(facts, reasons, strict=True))
    return [ForgottenFact(**fact.model_dump(), why=why[fact.id]) for fact in said(kb.facts_by_id(facts[:_SHOWN]))]


def _check(kb: KnowledgeBase, asked: ToForget) -> None:
    if asked.fact is not None:
        known_fact(kb, asked.fact)
