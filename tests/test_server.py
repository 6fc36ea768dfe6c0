"""Requests to servers that speak OpenAI's protocols, and the faults these have."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from fakes_chat import ChatServer, chatting
from lamlam.errors import LamLamError
from lamlam.server import Refused, Server

BODY = {"model": "m", "messages": [{"role": "user", "content": "===== 1 =====\nHello\n===== 1 ====="}]}


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that are waited between attempts; nothing is waited."""
    kept: list[float] = []
    monkeypatch.setattr(Server, "_rest", lambda self, seconds: kept.append(seconds))
    return kept


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with chatting(lambda text: text.upper()) as server:
        yield server


def ask(chat: ChatServer, **options: Any) -> str:
    server = Server(chat.url, **options)
    try:
        return str(server.ask("chat/completions", BODY)["choices"][0]["message"]["content"])
    finally:
        server.close()


@pytest.mark.parametrize("fault", [500, 502, 503, 429, 408, "no JSON", "hang up", "break off", "stall"])
def test_a_fault_is_met_by_another_attempt(chat: ChatServer, rests: list[float], fault: Any) -> None:
    chat.habits.faults = [fault, fault]
    assert ask(chat, timeout=0.3) == "HELLO"
    assert chat.requests == 3
    assert len(rests) == 2


def test_the_pause_doubles_and_is_never_quite_the_same(chat: ChatServer, rests: list[float]) -> None:
    chat.habits.faults = [500] * 4
    ask(chat, pause=1.0)
    assert [0.75 * 2**n <= rest <= 1.25 * 2**n for n, rest in enumerate(rests)] == [True] * 4
    assert len({rest / 2**n for n, rest in enumerate(rests)}) == 4


def test_the_server_is_waited_for_as_long_as_it_asks(chat: ChatServer, rests: list[float]) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    chat.habits.faults = [(429, "17"), (503, soon), (429, "later")]
    ask(chat, pause=0.001)
    assert rests[0] == 17.0
    assert 30.0 < rests[1] <= 40.0
    assert rests[2] < 1.0


def test_what_fails_for_good_is_told_in_one_sentence(chat: ChatServer, rests: list[float]) -> None:
    chat.habits.faults = [503] * 9
    with pytest.raises(LamLamError, match=r"answered 503 \(so it is\), 3 times"):
        ask(chat, retries=2)
    chat.habits.faults = ["no JSON"] * 9
    with pytest.raises(LamLamError, match="gave no whole answer, 3 times"):
        ask(chat, retries=2)
    assert len(rests) == 4


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_refusal_is_not_tried_again(chat: ChatServer, status: int) -> None:
    chat.habits.faults = [status]
    with pytest.raises(Refused) as refused:
        ask(chat)
    assert refused.value.status == status
    assert chat.requests == 1


def test_the_key_is_sent_and_never_shown(chat: ChatServer) -> None:
    chat.habits.key = "sk-right"
    assert ask(chat, api_key="sk-right") == "HELLO"
    with pytest.raises(Refused) as refused:
        ask(chat, api_key="sk-wrong-one")
    assert "sk-wrong-one" not in str(refused.value)
    assert "***" in str(refused.value)


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1/completions"])
def test_an_address_may_be_given_short_or_whole(chat: ChatServer, ending: str) -> None:
    server = Server(chat.url.removesuffix("/v1") + ending)
    assert server.ask("chat/completions", BODY)["choices"]
    server.close()


def test_a_version_within_the_path_is_kept() -> None:
    server = Server("https://models.example.org/v1beta/openai")
    assert re.fullmatch(r"https://models\.example\.org/v1beta/openai/", str(server._client.base_url))


def test_once_stopped_no_further_attempt_is_made(chat: ChatServer) -> None:
    server = Server(chat.url, pause=30.0)
    server.stop()
    chat.habits.faults = [500]
    with pytest.raises(LamLamError, match="closed"):
        server.ask("chat/completions", BODY)
    assert chat.requests == 1
