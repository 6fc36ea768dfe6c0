"""Hostile paths, queries, verbs, headers and bytes on the wire; and what a fault of the server tells."""

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from guarded import Guarded, ask, assert_safe, guarded, listening, routes, say
from lamlam.errors import InputError, StoreError
from lamlam.kb import KnowledgeBase
from lamlam.serve.access import Role
from lamlam.serve.settings import ServeSettings

ADA = "Ada Lovelace was born in"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    """One for all tests that leave it as it was."""
    return guarded(tmp_path_factory.mktemp("server"), open_reads=True, settings=ServeSettings(requests_a_minute=10**9))


@pytest.fixture(scope="module")
def eraser(server: Guarded) -> Iterator[TestClient]:
    with server.client(role=Role.ERASER) as client:
        yield client


# Queries and paths


@pytest.mark.parametrize(
    "text", [
        "%ff", "%ed%a0%80", "%00", "%c0%ae", "%", "%zz", "%F0%9F", "a" * 501, "a" * 60_000, "%0d%0aX-A:b", "é", "\\",
        "%25", "*", "' OR 1=1 --", "%5F%25", "&&&=", "%u0041", "+", ";",
    ],
)  # fmt: skip
def test_odd_queries_are_answered_or_refused(text: str, server: Guarded, eraser: TestClient) -> None:
    described = server.app.openapi()["paths"]
    for path, method, route in [(path, *each) for path, verbs in described.items() for each in verbs.items()]:
        content = {} if method == "get" else {"json": {}}
        names = [each["name"] for each in route.get("parameters", []) if each["in"] == "query"]
        for name in [*names, "nothing"]:
            query = f"entity=a&relation=b&q=c&{name}={text}"
            answer = eraser.request(method, f"{re.sub('{.*?}', '1', path)}?{query}", **content)  # type: ignore[arg-type]
            assert answer.status_code < 500, (method, path, name, answer.text)
            assert "x-a" not in answer.headers


@pytest.mark.parametrize("number", [
    "-1", "0", "1e3", "9223372036854775807", "9223372036854775808", "9" * 5000, "1.5", "NaN", "%00", "%ff",
    "%ed%a0%80", "1%2f..", "..%2f1", "١", "0x1", "1;2",
])  # fmt: skip
def test_odd_numbers_of_facts_and_revisions_are_refused(number: str, server: Guarded, eraser: TestClient) -> None:
    for method, path in routes(server.app):
        if path.startswith("/kb/") and "/1" in path:
            content = {} if method == "GET" else {"json": {"value": "v"} if method == "PATCH" else {}}
            answer = eraser.request(method, path.replace("/1", f"/{number}"), **content)  # type: ignore[arg-type]
            assert 400 <= answer.status_code < 500, (method, path, answer.text)


PATHS = [
    "/../tokens.json", "/../../../../etc/passwd", "//etc/passwd", "///etc/passwd", "/./../app.py",
    "/index.html/../../app.py", "/..\\app.py", "\\..\\app.py", "/..%2fapp.py", "/%2e%2e/app.py", "/%2e%2e%2fapp.py",
    "/%252e%252e%252fapp.py", "/%5c..%5capp.py", "/..%c0%afapp.py", "/\x00", "/index.html\x00.js", "/%00",
    "/C:/Windows/win.ini", "/file:///etc/passwd", "/~root", "/.", "/..", "/...", "/" + "a" * 5000, "/" + "a/" * 5000,
    "/" + "../" * 500 + "etc/passwd", "/\udcff", "/\ud800", "/kb/../../app.py", "/v1/models/../../app.py",
    "/proc/self/environ", "/app.py", "/tokens.json", "/%s%n", "/\r\nX-A: b", "", "etc/passwd",
    "http://evil.example/app.py", "*",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_no_path_leads_out_of_the_page(path: str, method: str, server: Guarded) -> None:
    status, headers, answer = ask(server.app, path, method=method)
    if status != 200:
        assert status in (307, 401, 404, 405)
    elif method == "GET":  # what is left of the path is the page itself
        index = Path(__file__).parents[1] / "src" / "lamlam" / "serve" / "page" / "index.html"
        assert answer == index.read_text(encoding="utf-8"), path
    assert "root:" not in str(answer)
    assert "sha256" not in str(answer)
    assert "build_app" not in str(answer)
    assert "evil" not in headers.get("location", "")
    assert "x-a" not in headers


# Verbs and headers


@pytest.mark.parametrize(
    "method", ["TRACE", "CONNECT", "OPTIONS", "PUT", "DELETE", "PROPFIND", "FOO", "get", "PoSt", "A" * 2000]
)
def test_verbs_that_no_route_knows_are_refused(method: str, server: Guarded) -> None:
    for _, path in [*routes(server.app), ("", "/"), ("", "/nothing")]:
        status, _, told = ask(server.app, path, method=method)
        assert status in (404, 405), (path, status)
        assert told["error"]["code"] == status


def test_headers_do_not_change_who_asks_or_what_is_done(tmp_path: Path) -> None:
    server = guarded(tmp_path, open_reads=True)
    tricks = {
        "X-HTTP-Method-Override": "DELETE", "X-Original-URL": "/kb/forget", "X-Rewrite-URL": "/kb/forget",
        "X-Forwarded-Host": "evil", "X-Forwarded-User": "eraser", "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil", "Range": "bytes=0-9999999", "Cookie": "token=" + server.tokens[Role.ERASER],
        "Accept": "text/html", "Accept-Encoding": "../..", "If-None-Match": "*" * 999, "If-Modified-Since": "never",
        "Content-Encoding": "gzip", "Connection": "Authorization", "Expect": "the unexpected",
    }  # fmt: skip
    with server.client() as client:
        for name, value in tricks.items():
            answer = client.get("/kb", headers={name: value})
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), name
            assert client.get("/access", headers={name: value}).json()["role"] == "reader"
            assert client.get("/", headers={name: value}).status_code in (200, 206, 304, 400, 416), name
            assert client.post("/kb/facts", headers={name: value}, json={"facts": []}).status_code == 401


@pytest.mark.parametrize(
    "value", [
        b"Bearer " + b"x" * 1_000_000, b"Bearer \xff\xfe", b"Bearer \xc3\xa9", b"Bearer", b"Bearer ", b"bearer  ",
        b"", b"Basic Og==", b"Bearer a b c", b"Bearer \x00", b"Bearer null", b"Digest " + b"," * 10_000,
        b" " * 10_000,
    ],
    ids=range(13),
)  # fmt: skip
def test_an_odd_authorization_is_none(value: bytes, server: Guarded) -> None:
    headers = [("host", "localhost"), ("content-type", "application/json"), ("authorization", value.decode("latin-1"))]
    assert ask(server.app, "/access", headers=headers)[2]["role"] == "reader"
    assert ask(server.app, "/kb/facts", method="POST", headers=headers, body=[b"{}"])[0] == 401


def test_sockets_are_closed(server: Guarded) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    for path in ("/", "/kb", "/v1/completions", "/nothing"):
        scope = {"type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [],
                 "subprotocols": [], "root_path": "", "scheme": "ws"}  # fmt: skip
        asyncio.run(server.app(scope, receive, send))
        assert sent.pop()["type"] in ("websocket.close", "websocket.http.response.body")


# On the wire


_POST = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
RAW = [
    b"\x00\xff\x00\xff\r\n\r\n", b"GET /kb\r\n\r\n",
    b"GET /../../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /%2e%2e%2f%2e%2e%2fapp.py HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /..\\..\\app.py HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /%ed%a0%80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET http://evil.example/kb HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    b"GET /kb HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    b"GET /kb HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET /kb HTTP/1.0\r\n\r\n",
    b"GET /kb HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    b"GET /kb HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + b"x" * 200_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /kb HTTP/1.1\r\nHost: localhost\r\nA b: c\r\n\r\n",
    b"GET /kb HTTP/1.1\r\nHost: localhost\r\n folded: c\r\n\r\n",
    b"CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    _POST + b"Content-Length: -1\r\n\r\n", _POST + b"Content-Length: 99999999\r\n\r\n",
    _POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", _POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    _POST + b"Content-Length: 500\r\n\r\n{",
]  # fmt: skip


def test_what_is_no_request_is_refused_and_the_next_one_is_answered(tmp_path: Path) -> None:
    server = guarded(tmp_path, open_reads=True, settings=ServeSettings(body_seconds=0.2))
    with listening(server.app) as port:
        for request in RAW:
            answer = say(port, request)
            assert not answer or b"400" <= answer.split(b" ")[1] < b"500", (request[:80], answer)
        smuggled = (
            b"POST /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        assert b"# HELP" not in say(port, smuggled)
        upgrade = (
            b"GET /kb HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert not say(port, upgrade).startswith(b"HTTP/1.1 101")
        good = say(port, b"GET /kb HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert good.startswith(b"HTTP/1.1 200")


# Faults of the server


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("in /secret/place.py"), 500), (KeyError("/secret"), 500), (RecursionError("/secret"), 500),
        (StoreError("/secret/kb.sqlite", "is damaged"), 503),
        (InputError("is damaged", path="/secret/kb.sqlite"), 503), (OSError(2, "No such file", "/secret"), 500),
        (UnicodeEncodeError("utf-8", "/secret\ud800", 7, 8, "surrogates"), 500),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_fault_of_the_server_tells_nothing_and_its_log_tells_all(
    error: Exception, status: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = guarded(tmp_path, open_reads=True)

    @server.app.get("/broken")
    async def broken() -> None:
        raise error

    with server.client() as client, caplog.at_level(logging.ERROR):
        answer = client.get("/broken")
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "server_error"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert_safe(answer.headers)
    if status == 503:
        assert "/secret/kb.sqlite" in caplog.text
    else:  # the server that runs the application logs what it raises
        with pytest.raises(type(error)):
            ask(server.app, "/broken")


def test_a_knowledge_base_that_fails_in_the_middle_of_a_text_is_not_named(tmp_path: Path) -> None:
    class Failing:
        def __init__(self, facts: KnowledgeBase) -> None:
            self._facts = facts

        def lookup_many(self, pairs: object) -> object:
            raise StoreError("/secret/kb.sqlite", "is damaged")

        def at(self, revision: int) -> "Failing":
            return self

        def __getattr__(self, name: str) -> object:
            return getattr(self._facts, name)

    server = guarded(tmp_path, open_reads=True, source=Failing)
    with server.client() as client:
        for stream in (False, True):
            answer = client.post("/v1/completions", json={"prompt": ADA, "stream": stream})
            assert "secret" not in answer.text
            assert "server's log" in answer.text


def test_a_knowledge_base_that_goes_away_is_not_named(tmp_path: Path) -> None:
    server = guarded(tmp_path, open_reads=True)
    with server.client(role=Role.EDITOR) as client:
        assert client.post("/v1/completions", json={"prompt": ADA}).status_code == 200  # the model has opened it
        for file in tmp_path.glob("kb.sqlite*"):
            file.unlink()
        answer = client.post("/kb/facts", json={"facts": [{"entity": "a", "relation": "b", "value": "c"}]})
        assert answer.status_code == 503
        assert str(tmp_path) not in answer.text
