"""API errors: OpenAI's error object with one sentence, never a stack trace or a file name.

For errors of the server itself, the details are in its log.
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
_FIELD = 200  # characters of a field's name, which the client may have made up
_LOG = logging.getLogger(__name__)


class Fault(LamLamError):
    """A request that is refused with this status. `field` is the invalid field; `headers` are added to the response."""

    def __init__(
        self, status: int, reason: str, *, field: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(reason)
        self.status, self.reason, self.field, self.headers = status, reason, field, headers or {}


class Full(Fault):
    """Too many texts are running or waiting."""

    def __init__(self, reason: str) -> None:
        super().__init__(429, reason, headers=_RETRY)


class Stopped(Fault):
    """The thread that runs the model has stopped."""

    def __init__(self) -> None:
        super().__init__(503, "the model has stopped")


class _Error(BaseModel):
    message: str = Field(description="One sentence that says what is wrong.")
    type: str = Field(description="invalid_request_error or server_error")
    param: str | None = Field(description="The invalid field, if any.")
    code: int = Field(description="The HTTP status.")


class ErrorResponse(BaseModel):
    """Why a request was refused."""

    error: _Error


def told(status: int, reason: str, field: str | None = None) -> dict[str, Any]:
    """Return the body of an error: `{"error": {"message", "type", "param", "code"}}`."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": reason, "type": kind, "param": field, "code": status}}


_MEANINGS = {
    400: "The request is not valid HTTP.",
    401: "The token is missing or unknown.",
    403: "The token's role doesn't allow this.",
    404: "Nothing with this name or number.",
    405: "The route doesn't support this method.",
    408: "The body did not arrive in time.",
    409: "The knowledge base's state doesn't allow it.",
    413: "The body is too large.",
    415: "The body is not JSON (or, for tables, CSV).",
    421: "The Host header doesn't name this server.",
    422: "A field is invalid; `param` names it.",
    429: "Too many requests or texts; Retry-After says when to try again.",
    500: "Internal server error.",
    503: "The model or the knowledge base is unavailable.",
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": meaning} for status, meaning in _MEANINGS.items()
}
"""The errors that any route may return, for the OpenAPI description."""


def handle_faults(app: FastAPI) -> None:
    """Turn expected errors into responses."""

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
    """Map an expected error to a status: 422 if the client can fix it, 409 if the state doesn't allow it."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, StoreError) or (isinstance(error, InputError) and error.path is not None):
        _LOG.error("%s", error)
        return Fault(503, "the knowledge base is unavailable; see the server's log", headers=_RETRY)
    if isinstance(error, InputError):
        return Fault(422, error.reason, field=error.field)
    return Fault(409, str(error))


def answer_fault(fault: Fault) -> JSONResponse:
    return JSONResponse(told(fault.status, fault.reason, fault.field), fault.status, fault.headers)
