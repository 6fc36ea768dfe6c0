"""How much of a server one client may have, and all together."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamlam.serve.access import Access
from lamlam.serve.errors import Fault
from lamlam.serve.settings import ServeSettings

__all__ = ["Limits", "Rates"]

_NEVER_REFUSED = "/healthz"  # who watches over the server must not take it for dead
_NETWORK = 64  # bits of an IPv6 address that one client has to itself


@dataclass(slots=True)
class _Bucket:
    left: float
    since: float


class Rates:
    """A token bucket for each client: `a_minute` requests at once, and as many again in each minute.

    Of at most `clients` clients; the one that was not heard of for longest is forgotten first, and so begins anew.
    """

    def __init__(self, a_minute: int, clients: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clients, self._clock = a_minute, clients, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, client: str) -> float:
        """Count a request of this client. 0 where it may be answered, else the seconds until one may be."""
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


class Limits:
    """Raises `Fault` with 429 when a client asks too often, or all together ask for more at a time than is allowed."""

    def __init__(self, app: ASGIApp, access: Access, settings: ServeSettings) -> None:
        self._app, self._access = app, access
        self._rates = Rates(settings.requests_a_minute, settings.max_clients)
        self._most, self._running = settings.max_requests, 0
        self._read_seconds = settings.read_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == _NEVER_REFUSED:
            return await self._app(scope, receive, send)
        if wait := self._rates.wait(self._client(scope)):
            raise _too_many("you ask too often", wait)
        if self._running >= self._most:
            raise _too_many(f"{self._running} requests are being answered, the most there may be", 1)
        self._running += 1
        try:
            await self._app(scope, receive, self._in_time(send))
        except ClientDisconnect:
            return None  # nobody is there to be told
        finally:
            self._running -= 1

    def _in_time(self, send: Send) -> Send:
        """Send what a client reads; one that stops reading must not hold a place for ever."""

        async def sending(message: Message) -> None:
            try:
                async with asyncio.timeout(self._read_seconds):
                    await send(message)
            except TimeoutError:
                raise ClientDisconnect from None

        return sending

    def _client(self, scope: Scope) -> str:
        """The token's name, where it is known, else the address: an invented token is no new client."""
        actor = self._access.actor(Headers(scope=scope).get("authorization"))
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
    return Fault(429, f"{reason}: try again later", headers={"Retry-After": str(math.ceil(seconds))})
