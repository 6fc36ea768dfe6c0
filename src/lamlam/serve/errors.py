"""Faults as the API tells them: OpenAI's error object, one sentence, never a stack trace."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lamlam.errors import InputError, LamLamError
from lamlam.serve.batch import Full, Stopped

__all__ = ["Fault", "handle_faults", "told"]

_RETRY_SECONDS = 1


class Fault(LamLamError):
    """A request that is answered with this status. `field` is the field at fault; `headers` go with the answer."""

    def __init__(
        self, status: int, reason: str, *, field: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(reason)
        self.status, self.reason, self.field, self.headers = status, reason, field, headers or {}


def told(status: int, reason: str, field: str | None = None) -> dict[str, Any]:
    """The body of an error: `{"error": {"message", "type", "param", "code"}}`."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": reason, "type": kind, "param": field, "code": status}}


def handle_faults(app: FastAPI) -> None:
    """Answer whatever a route raises."""

    @app.exception_handler(LamLamError)
    async def foreseen(_: Request, error: LamLamError) -> JSONResponse:
        fault = fault_of(error)
        return JSONResponse(told(fault.status, fault.reason, fault.field), fault.status, fault.headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or None
        return JSONResponse(told(422, first["msg"], field), 422)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(told(error.status_code, str(error.detail)), error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse(told(500, "a fault within the server; its log says more"), 500)


def fault_of(error: LamLamError) -> Fault:
    """The status that a foreseen fault has: what a client can mend is 422, what the state forbids 409."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, Full):
        return Fault(429, str(error), headers={"Retry-After": str(_RETRY_SECONDS)})
    if isinstance(error, Stopped):
        return Fault(503, str(error))
    if isinstance(error, InputError):
        return Fault(422, error.reason, field=error.field)
    return Fault(409, str(error))
