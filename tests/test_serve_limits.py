"""Limits of a server: bodies by size and time, requests by rate and number; and that streams pass all of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guarded import Guarded, ask, guarded
from lamlam.cli.app import app as lamlam
from lamlam.errors import InputError
from lamlam.serve.access import Role
from lamlam.serve.middleware import LimitsMiddleware, Rates
from lamlam.serve.settings import ServeSettings

JSON = [("host", "localhost"), ("content-type", "application/json")]
ADA = "Ada Lovelace was born in"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# BodyMiddleware


@pytest.fixture
def small(tmp_path: Path) -> Guarded:
    return guarded(tmp_path, open_reads=True, settings=ServeSettings(max_body=100, body_seconds=0.1))


@pytest.mark.parametrize("path", ["/v1/completions", "/kb/facts", "/kb/facts.csv", "/kb", "/", "/nothing"])
@pytest.mark.parametrize("length", ["101", "1000000000000", "9" * 5000])
def test_a_body_that_says_it_is_too_large_is_not_waited_for(path: str, length: str, small: Guarded) -> None:
    status, headers, told = ask(
        small.app, path, method="POST", headers=[*JSON, ("content-length", length)], body=[], stalls=True
    )
    assert (status, headers["connection"], told["error"]["message"]) == (413, "close", "a body is limited to 100 bytes")


@pytest.mark.parametrize("pieces", [[b" " * 101], [b" " * 50] * 3, [b" "] * 200])
@pytest.mark.parametrize("length", [[], [("content-length", "10")], [("transfer-encoding", "chunked")]])
def test_a_body_is_counted_as_it_comes(pieces: list[bytes], length: list[Any], small: Guarded) -> None:
    status, _, told = ask(small.app, "/kb/facts", method="POST", headers=[*JSON, *length], body=pieces, stalls=True)
    assert (status, told["error"]["code"]) == (413, 413)


def test_a_body_of_just_the_size_is_taken(small: Guarded) -> None:
    with small.client():
        body = b'{"prompt": "Ada", "max_tokens": 1}'.ljust(100)
        assert ask(small.app, "/v1/completions", method="POST", headers=JSON, body=[body[:60], body[60:]])[0] == 200


@pytest.mark.parametrize("pieces", [[], [b"{"], [b"{", b'"prompt"']])
@pytest.mark.parametrize("method", ["POST", "GET", "PATCH"])
def test_a_body_that_does_not_come_is_not_waited_for(method: str, pieces: list[bytes], small: Guarded) -> None:
    status, headers, told = ask(small.app, "/kb/facts", method=method, headers=JSON, body=pieces, stalls=True)
    assert (status, headers["connection"]) == (408, "close")
    assert told["error"]["message"] == "the body did not arrive within 0.1 seconds"


@pytest.mark.parametrize("length", ["-1", "1.5", "ten", "", "1e3", "0x10", "１", "+1"])
def test_a_length_that_is_none_is_refused(length: str, small: Guarded) -> None:
    length = length.encode().decode("latin-1")
    assert ask(small.app, "/kb", method="POST", headers=[*JSON, ("content-length", length)])[0] == 400


# Rates


def test_a_client_may_ask_so_often_and_again_in_time() -> None:
    clock = Clock()
    rates = Rates(60, 10, clock)
    assert [rates.wait("ada") for _ in range(60)] == [0] * 60
    assert rates.wait("ada") == 1
    clock.now += 0.75
    assert rates.wait("ada") == 0.25
    assert rates.wait("grace") == 0
    clock.now += 0.25
    assert rates.wait("ada") == 0
    clock.now += 1e6
    assert [rates.wait("ada") for _ in range(61)] == [0] * 60 + [1], "what was not used does not pile up"


def test_clients_are_counted_in_bounded_memory_and_the_oldest_are_forgotten_first() -> None:
    rates = Rates(1, 3, Clock())
    for client in ("a", "b", "c"):
        assert rates.wait(client) == 0
    assert rates.wait("a") > 0
    assert rates.wait("d") == 0
    assert len(rates) == 3
    assert rates.wait("a") > 0
    assert rates.wait("b") == 0, "it was the oldest"


def _statuses(server: Guarded, *requests: dict[str, Any]) -> list[int]:
    return [ask(server.app, "/access", **request)[0] for request in requests]


@pytest.fixture
def slow(tmp_path: Path) -> Guarded:
    return guarded(tmp_path, open_reads=True, settings=ServeSettings(requests_a_minute=2))


def test_who_asks_too_often_is_told_when_to_come_again(slow: Guarded) -> None:
    assert _statuses(slow, {}, {}) == [200, 200]
    status, headers, told = ask(slow.app, "/kb")
    assert (status, headers["retry-after"], told["error"]["type"]) == (429, "30", "invalid_request_error")
    assert _statuses(slow, {"client": ("10.0.0.1", 1)}) == [200]


def test_an_invented_token_or_address_is_no_new_client(slow: Guarded) -> None:
    requests = [
        {"headers": [("host", "localhost"), (name, value)]}
        for name, value in [("authorization", "Bearer a"), ("authorization", "Bearer b"), ("authorization", "Bearer c"),
                            ("x-forwarded-for", "10.1.1.1"), ("forwarded", "for=10.1.1.2"), ("x-real-ip", "10.1.1.3")]
    ]  # fmt: skip
    assert _statuses(slow, *requests) == [200, 200, 429, 429, 429, 429]


def test_a_token_is_one_client_wherever_it_is_used(slow: Guarded) -> None:
    def by(role: Role, address: str) -> dict[str, Any]:
        token = ("authorization", slow.headers(role)["Authorization"])
        return {"headers": [("host", "localhost"), token], "client": (address, 1)}

    assert _statuses(slow, *(by(Role.READER, f"10.0.0.{n}") for n in range(3))) == [200, 200, 429]
    assert _statuses(slow, by(Role.EDITOR, "10.0.0.1"), {"client": ("10.0.0.1", 1)}) == [200, 200]


def test_addresses_that_one_client_has_to_itself_are_one(slow: Guarded) -> None:
    def all_from(*addresses: str) -> list[int]:
        return _statuses(slow, *({"client": (address, 1)} for address in addresses))

    assert all_from("2001:db8::1", "2001:db8::2", "2001:db8::3:4", "2001:db8:0:1::1") == [200, 200, 429, 200]
    assert all_from("::ffff:10.0.0.1", "::ffff:10.0.0.2", "::ffff:10.0.0.3") == [200] * 3
    assert _statuses(slow, *[{"client": None}] * 3) == [200, 200, 429]


def test_who_watches_over_the_server_is_always_answered(slow: Guarded) -> None:
    with slow.client() as client:
        assert {client.get("/healthz").status_code for _ in range(20)} == {200}


# Requests at a time


def test_more_requests_than_may_be_at_a_time_are_told_to_come_again(tmp_path: Path) -> None:
    server = guarded(tmp_path, open_reads=True)
    ended = asyncio.Event()

    async def app(*_: object) -> None:
        await ended.wait()

    async def run() -> None:
        limits = LimitsMiddleware(app, server.access, ServeSettings(max_requests=2))  # type: ignore[arg-type]
        scope = {"type": "http", "path": "/kb", "headers": [], "client": None}
        running = [asyncio.create_task(limits(scope, None, None)) for _ in range(2)]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        with pytest.raises(Exception, match="2 requests are running") as refused:
            await limits(scope, None, None)  # type: ignore[arg-type]
        assert refused.value.status == 429  # type: ignore[attr-defined]
        ended.set()
        await asyncio.gather(*running)
        await limits(scope, None, None)  # type: ignore[arg-type]

    asyncio.run(run())


def test_a_client_that_stops_reading_loses_its_place(tmp_path: Path) -> None:
    server = guarded(tmp_path, open_reads=True)

    async def app(_: object, __: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def never(_: object) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        limits = LimitsMiddleware(app, server.access, ServeSettings(max_requests=1, read_seconds=0.01))  # type: ignore[arg-type]
        scope = {"type": "http", "path": "/kb", "headers": [], "client": None}
        for _ in range(3):
            await limits(scope, None, never)  # type: ignore[arg-type]

    asyncio.run(run())


# Streams and settings


def test_a_stream_passes_all_of_it_in_pieces(tmp_path: Path) -> None:
    server = guarded(tmp_path, open_reads=True)
    pieces: list[bytes] = []

    async def run(scope: Any, body: bytes) -> None:
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if waiting:
                return waiting.pop()
            return await asyncio.Event().wait()

        async def send(message: Any) -> None:
            pieces.append(message.get("body", b""))

        async with server.app.router.lifespan_context(server.app):
            await server.app(scope, receive, send)

    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "query_string": b"", "root_path": "",
             "headers": [(name.encode(), value.encode()) for name, value in JSON], "client": None,
             "scheme": "http", "http_version": "1.1", "server": ("127.0.0.1", 80)}  # fmt: skip
    asyncio.run(run(scope, b'{"prompt": "Ada Lovelace was born in", "stream": true}'))
    assert len([piece for piece in pieces if piece.startswith(b"data: {")]) > 2


def test_limits_are_set_from_the_command_line_and_unknown_ones_are_told(tmp_path: Path) -> None:
    for wrong, told in (("nonsense=1", "unknown setting"), ("max_body=none", "valid integer"), ("max_body=0", "than")):
        with pytest.raises(InputError, match=told):
            CliRunner().invoke(lamlam, ["serve", str(tmp_path), "--set", wrong], catch_exceptions=False)


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"prompt": "a" * 51}, "prompt"),
     ({"prompt": ["a"] * 4}, "prompt"), ({"prompt": ADA, "max_tokens": 11}, "max_tokens"),
     ({"prompt": "a", "n": 4}, "prompt"), ({"prompt": []}, "prompt"), ({"prompt": "a", "n": 10**9}, "prompt")],
)  # fmt: skip
def test_prompts_tokens_and_texts_are_bounded(asked: dict[str, Any], field: str, tmp_path: Path) -> None:
    server = guarded(tmp_path, open_reads=True, settings=ServeSettings(max_prompt=50, max_tokens=10, max_texts=3))
    with server.client() as client:
        answer = client.post("/v1/completions", json=asked)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, field)
