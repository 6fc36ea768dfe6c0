"""What browsers are told, and who they may ask for: no page of another origin reads or writes here.

There are no `Access-Control` headers at all. That keeps other pages from reading answers and from posting JSON; the
check of `Host` keeps out those that make their own name point at this machine (DNS rebinding), which are of the same
origin in the browser's eyes.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamlam.serve.errors import Fault

__all__ = ["LocalNamesMiddleware", "SafeHeaders", "is_loopback"]

_SAFE = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class SafeHeaders:
    """Adds to every answer what makes browsers careful with it. Nothing may be kept but the page's own files."""

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


class LocalNamesMiddleware:
    """Refuses to be asked by a name other than this machine's own, where reading takes no token (`open_reads`)."""

    def __init__(self, app: ASGIApp, open_reads: bool) -> None:
        self._app, self._open_reads = app, open_reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._open_reads:
            names = Headers(scope=scope).getlist("host")
            if len(names) != 1 or not _is_local(names[0]):
                raise Fault(
                    421, "this server answers to localhost, 127.0.0.1 and [::1] only: give it a --host for more"
                )
        await self._app(scope, receive, send)


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own, which nobody else can give another meaning."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_local(host: str) -> bool:
    """Of a `Host` header: a name and perhaps a port, and nothing more."""
    try:
        parts = urlsplit(f"//{host}")
        named, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    return parts.netloc == host and "@" not in host and is_loopback(named)
