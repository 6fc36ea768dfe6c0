"""Middleware around every route.

There are no `Access-Control` headers, so pages of other origins can neither read responses nor post JSON. Checking
`Host` stops DNS rebinding, where the browser takes the attacker's page for the same origin.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamlam.serve.access import Access
from lamlam.serve.bodies import check_body
from lamlam.serve.errors import Fault, answer_fault
from lamlam.serve.metrics import OTHER, Metrics
from lamlam.serve.settings import ServeSettings

__all__ = [
    "INSIDE",
    "BodyMiddleware",
    "ErrorMiddleware",
    "LimitsMiddleware",
    "LocalNamesMiddleware",
    "MetricsMiddleware",
    "Rates",
    "SafeHeadersMiddleware",
    "is_loopback",
]

INSIDE = "lamlam.inside"  # in the scope of a request that the server makes to itself for another, which was counted
_CLIENT_LEFT = 499
_CLOSE = {"Connection": "close"}  # don't wait for the rest of the body
_NEVER_REFUSED = "/healthz"  # a refusal would look like an outage to monitoring
_NETWORK = 64  # IPv6 prefix length that counts as one client

_SAFE = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class SafeHeadersMiddleware:
    """Adds security headers to every response. Only the page's own files may be cached."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SAFE.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache" if "etag" in headers else "no-store")
            await send(message)

        await self._app(scope, receive, sending)


class MetricsMiddleware:
    """Counts each request once answered."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, status = time.monotonic(), _CLIENT_LEFT

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", OTHER)
            self._metrics.answered(route, scope["method"], status, time.monotonic() - began)


class ErrorMiddleware:
    """Handles errors raised outside routes, and unexpected ones, which are logged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Fault as fault:
            if begun:
                raise
            await answer_fault(fault)(scope, receive, send)
        except Exception:
            if not begun:
                await answer_fault(Fault(500, "internal server error; see the server's log"))(scope, receive, send)
            raise


class LocalNamesMiddleware:
    """Refuses host names other than this machine's own if reading requires no token (`open_reads`)."""

    def __init__(self, app: ASGIApp, open_reads: bool) -> None:
        self._app, self._open_reads = app, open_reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._open_reads:
            names = Headers(scope=scope).getlist("host")
            if len(names) != 1 or not _is_local(names[0]):
                raise Fault(
                    421, "this server only answers to localhost, 127.0.0.1 and [::1]; start it with --host for more"
                )
        await self._app(scope, receive, send)


def is_loopback(host: str) -> bool:
    """Whether a name or an address always means this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_local(host: str) -> bool:
    """Whether a `Host` header is a local name with an optional port, and nothing else."""
    try:
        parts = urlsplit(f"//{host}")
        named, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    return parts.netloc == host and "@" not in host and is_loopback(named)


@dataclass(slots=True)
class _Bucket:
    left: float
    since: float


class Rates:
    """A token bucket per client: a burst of `a_minute` requests, refilled at that rate.

    Tracks at most `clients` clients; the least recent is dropped first.
    """

    def __init__(self, a_minute: int, clients: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clients, self._clock = a_minute, clients, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, client: str) -> float:
        """Count a request of this client. Returns 0 if allowed, else the seconds to wait."""
        now, a_second = self._clock(), self._most / 60
        bucket = self._buckets.setdefault(client, _Bucket(self._most, now))
        self._buckets.move_to_end(client)
        while len(self._buckets) > self._clients:
            self._buckets.popitem(last=False)
        bucket.left, bucket.since = min(self._most, bucket.left + (now - bucket.since) * a_second), now
        if bucket.left < 1:
            return (1 - bucket.left) / a_second
        bucket.left -= 1
        return 0


class LimitsMiddleware:
    """Raises `Fault` (429) if a client sends too many requests, or too many run at a time."""

    def __init__(self, app: ASGIApp, access: Access, settings: ServeSettings) -> None:
        self._app, self._access = app, access
        self._rates = Rates(settings.requests_a_minute, settings.max_clients)
        self._most, self._running = settings.max_requests, 0
        self._read_seconds = settings.read_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == _NEVER_REFUSED or INSIDE in scope:
            return await self._app(scope, receive, send)
        if wait := self._rates.wait(self._client(scope)):
            raise _too_many("too many requests", wait)
        if self._running >= self._most:
            raise _too_many(f"{self._running} requests are running, the maximum", 1)
        self._running += 1
        try:
            await self._app(scope, receive, self._in_time(send))
        except ClientDisconnect:
            return None  # the client is gone
        finally:
            self._running -= 1

    def _in_time(self, send: Send) -> Send:
        """Limit the time that a client may stall while reading, so it can't hold a place forever."""

        async def sending(message: Message) -> None:
            try:
                async with asyncio.timeout(self._read_seconds):
                    await send(message)
            except TimeoutError:
                raise ClientDisconnect from None

        return sending

    def _client(self, scope: Scope) -> str:
        """The token's name if known, else the address: a made-up token isn't a new client."""
        actor = self._access.actor_of(scope)
        return f"token {actor.name}" if actor else _network(scope["client"][0] if scope.get("client") else "")


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address) or parsed.ipv4_mapped:
        return address
    return str(ip_network((parsed, _NETWORK), strict=False))


def _too_many(reason: str, seconds: float) -> Fault:
    return Fault(429, f"{reason}; try again later", headers={"Retry-After": str(math.ceil(seconds))})


class BodyMiddleware:
    """Raises `Fault`: 400 for an invalid length, 408, 413, 415, and 422 for invalid JSON or Unicode."""

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
            raise Fault(408, f"the body did not arrive within {self._seconds:g} seconds", headers=_CLOSE) from None
        if body is None:
            return None  # the client has left
        if body:
            check_body(body, headers.get("content-type", ""))
        return await self._app(scope, _again(body, receive), send)

    async def _whole(self, headers: Headers, receive: Receive) -> bytes | None:
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Fault(400, "Content-Length is not a number", headers=_CLOSE)
        if "content-length" in headers and "transfer-encoding" in headers:  # a proxy may use the other
            raise Fault(400, "give either Content-Length or Transfer-Encoding", headers=_CLOSE)
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
        return Fault(413, f"a body is limited to {self._most} bytes", headers=_CLOSE)


def _again(body: bytes, receive: Receive) -> Receive:
    """Replay the body, then continue receiving."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return waiting.pop() if waiting else await receive()

    return received
