"""Faults as the API reports them: OpenAI's error object, one sentence, never a stack trace nor the name of a file.

Where the server itself is at fault, its log says what the answer does not.
"""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from lamlam.errors import InputError, LamLamError, StoreError

__all__ = [
    "ANSWERS",
    "ErrorResponse",
    "Fault",
    "Full",
    "Stopped",
    "answer_fault",
    "fault_of",
    "handle_faults",
    "told",
]

_RETRY = {"Retry-After": "1"}  # seconds
_FIELD = 200  # characters of a field's name, which may be the client's invention
_LOG = logging.getLogger(__name__)


class Fault(LamLamError):
    """A request that is answered with this status. `field` is the field at fault; `headers` go with the answer."""

    def __init__(
        self, status: int, reason: str, *, field: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(reason)
        self.status, self.reason, self.field, self.headers = status, reason, field, headers or {}


class Full(Fault):
    """More texts are being written, or wait, than the server takes on."""

    def __init__(self, reason: str) -> None:
        super().__init__(429, reason, headers=_RETRY)


class Stopped(Fault):
    """The thread that runs the model has ended."""

    def __init__(self) -> None:
        super().__init__(503, "the model has stopped")


class _Error(BaseModel):
    message: str = Field(description="One sentence that says what is wrong.")
    type: str = Field(description="invalid_request_error or server_error")
    param: str | None = Field(description="The field at fault, where there is one.")
    code: int = Field(description="The status of the answer.")


class ErrorResponse(BaseModel):
    """Why a request was refused."""

    error: _Error


def told(status: int, reason: str, field: str | None = None) -> dict[str, Any]:
    """The body of an error: `{"error": {"message", "type", "param", "code"}}`."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": reason, "type": kind, "param": field, "code": status}}


_MEANINGS = {
    400: "The request is no HTTP that this server reads.",
    401: "A token is needed, or the one that was given is unknown.",
    403: "The token's role does not allow this.",
    404: "There is nothing of this name or number.",
    405: "The route does not know this method.",
    408: "The body did not come in time.",
    409: "The state of the knowledge base forbids it.",
    413: "The body is too large.",
    415: "The body is neither JSON nor, where a table is taken, CSV.",
    421: "The server is asked by a name that is not its own.",
    422: "A field is wrong; `param` names it.",
    429: "Too many requests, or too many texts at a time; Retry-After says when to try again.",
    500: "A fault within the server.",
    503: "The model or the knowledge base cannot be used now.",
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": meaning} for status, meaning in _MEANINGS.items()
}
"""What any route may answer instead, for the OpenAPI description."""


def handle_faults(app: FastAPI) -> None:
    """Answer what a route raises and could be foreseen."""

    @app.exception_handler(LamLamError)
    async def foreseen(_: Request, error: LamLamError) -> JSONResponse:
        return answer_fault(fault_of(error))

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:])[:_FIELD] or None
        return answer_fault(Fault(422, first["msg"], field=field))

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return answer_fault(Fault(error.status_code, str(error.detail), headers=dict(error.headers or {})))


def fault_of(error: LamLamError) -> Fault:
    """The status that a foreseen fault has: what a client can mend is 422, what the state forbids 409."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, StoreError) or (isinstance(error, InputError) and error.path is not None):
        _LOG.error("%s", error)
        return Fault(503, "the knowledge base cannot be used now; the server's log says why", headers=_RETRY)
    if isinstance(error, InputError):
        return Fault(422, error.reason, field=error.field)
    return Fault(409, str(error))


def answer_fault(fault: Fault) -> JSONResponse:
    return JSONResponse(told(fault.status, fault.reason, fault.field), fault.status, fault.headers)
