"""Request bodies: read whole, bounded in size and time, and taken when they are JSON or a table, in plain Unicode.

Nothing is done with a request before its body is there. What passes is safe to parse again: no lone surrogates, which
no database keeps and no answer can hold; numbers that a machine has; no field twice; nothing nested without end.
"""

import asyncio
import json
import math
from collections.abc import Iterator
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamlam.serve.errors import Fault
from lamlam.serve.settings import ServeSettings

__all__ = ["BodyMiddleware"]

_JSON, _CSV = "application/json", "text/csv"
_DEEPEST = 16
_CLOSE = {"Connection": "close"}  # what is still to come of the body is not waited for


class BodyMiddleware:
    """Raises `Fault`: 400 for a length that is none, 408, 413, 415, and 422 for what is neither JSON nor Unicode."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._most, self._seconds = app, settings.max_body, settings.body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._whole(headers, receive)
        except TimeoutError:
            raise Fault(408, f"the body did not come within {self._seconds:g} seconds", headers=_CLOSE) from None
        if body is None:
            return None  # the client has left
        if body:
            _check(body, headers.get("content-type", ""))
        return await self._app(scope, _again(body, receive), send)

    async def _whole(self, headers: Headers, receive: Receive) -> bytes | None:
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Fault(400, "Content-Length is no number", headers=_CLOSE)
        if "content-length" in headers and "transfer-encoding" in headers:  # a proxy may have understood the other
            raise Fault(400, "a body has one length: Content-Length, or that of its chunks", headers=_CLOSE)
        if len(length) > 18 or int(length) > self._most:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._most:
                raise self._too_large()
            if not message.get("more_body"):
                return bytes(body)

    def _too_large(self) -> Fault:
        return Fault(413, f"a body may have {self._most} bytes", headers=_CLOSE)


def _again(body: bytes, receive: Receive) -> Receive:
    """Tells the body, and then what else happens."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return waiting.pop() if waiting else await receive()

    return received


def _check(body: bytes, content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (_JSON, _CSV):
        raise Fault(415, f"a body must be {_JSON}, or {_CSV} where a table is taken")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Fault(422, f"the body is not UTF-8 at byte {error.start}") from None
    if kind == _JSON:
        _check_json(text)


def _check_json(text: str) -> None:
    try:
        said = json.loads(
            text, parse_int=_whole_number, parse_float=_number, parse_constant=_number, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        raise Fault(422, f"the body is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise _too_deep() from None
    for part in _texts(said):
        if not part.isascii() and any("\ud800" <= letter <= "\udfff" for letter in part):
            raise Fault(422, "the body holds a lone surrogate, which is not valid Unicode")


def _number(written: str) -> float:
    """Also called for NaN and Infinity, which are not JSON."""
    value = float(written)
    if not math.isfinite(value):
        raise Fault(422, "the body holds a number that is none, or is too large")
    return value


def _whole_number(written: str) -> float:
    value = _number(written)
    if abs(value) >= 2**63:
        raise Fault(422, "the body holds a number of more than 64 bits")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Fault(422, "the body names a field twice")
    return fields


def _texts(said: Any) -> Iterator[str]:
    """All text in it, names of fields as well."""
    rest = [(said, 1)]
    while rest:
        part, depth = rest.pop()
        if depth > _DEEPEST:
            raise _too_deep()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            yield from part
            rest.extend((each, depth + 1) for each in part.values())
        elif isinstance(part, list):
            rest.extend((each, depth + 1) for each in part)


def _too_deep() -> Fault:
    return Fault(422, f"the body is nested more than {_DEEPEST} deep")
