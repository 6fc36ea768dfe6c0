"""A guarded server to be asked: who may, all its routes, and requests that no client would send."""

import asyncio
import json
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from fakes_serve import served
from lamlam.serve.access import Access, Role
from lamlam.serve.app import build_app
from lamlam.serve.settings import ServeSettings

LOCAL = "http://127.0.0.1"
ROUTES_WITHOUT_A_TOKEN = {("GET", "/healthz"), ("GET", "/access")}


@dataclass(frozen=True)
class Guarded:
    """An application and its tokens, by role."""

    app: FastAPI
    access: Access
    tokens: dict[Role, str]

    def headers(self, role: Role) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    @contextmanager
    def client(self, *, role: Role | None = None) -> Iterator[TestClient]:
        """Not of one who sees the server's faults: they are answers, as for anybody."""
        headers = self.headers(role) if role else {}
        with TestClient(self.app, base_url=LOCAL, headers=headers, raise_server_exceptions=False) as client:
            yield client


def guarded(folder: Path, *, open_reads: bool, settings: ServeSettings | None = None, **served_: Any) -> Guarded:
    """A server of the model and the facts of `fakes_serve`, in a folder of its own."""
    access = Access(folder / "tokens.json", open_reads=open_reads)
    tokens = {role: access.create(role, role) for role in Role}
    app = build_app(served(folder / "kb.sqlite", **served_), access, settings)
    return Guarded(app, access, tokens)


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Each route's method and a path of its template, with 1 for what is to be filled in; hidden ones as well."""
    found = {
        (method, re.sub(r"{[^}]*}", "1", route.path))
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
    }
    return sorted(found)


def ask(
    app: FastAPI,
    path: str,
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = (("host", "localhost"),),
    body: Iterable[bytes] = (b"",),
    stalls: bool = False,
    client: tuple[str, int] | None = ("127.0.0.1", 1),
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of an answer, asked for beneath any HTTP client: nothing is tidied up on the way.

    The body comes in pieces; where it `stalls`, its end never comes.
    """
    pieces = list(body)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces) or stalls}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(errors="replace"), "root_path": "",
        "query_string": b"", "scheme": "http", "http_version": "1.1", "client": client, "server": ("127.0.0.1", 80),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    text = b"".join(message.get("body", b"") for message in sent)
    headers_ = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    is_json = headers_.get("content-type") == "application/json"
    return sent[0]["status"], headers_, json.loads(text) if is_json else text.decode(errors="replace")


def assert_safe(headers: Mapping[str, str], cache: str = "no-store") -> None:
    """Browsers are told to be careful with this answer."""
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == cache
    assert "set-cookie" not in headers


@contextmanager
def listening(app: FastAPI) -> Iterator[int]:
    """A port at which the application really listens."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def say(port: int, request: bytes) -> bytes:
    """What a server answers to these bytes until it closes the connection, be it without hearing them out."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection, suppress(ConnectionError):
        connection.sendall(request)
        while piece := connection.recv(65_536):
            answer += piece
    return answer
