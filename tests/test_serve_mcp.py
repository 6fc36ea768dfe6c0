"""Facts as tools of the Model Context Protocol: over HTTP, over standard input and output, for each role."""

import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from fakes_serve import FACTS
from guarded import LOCAL, Guarded, guarded
from lamlam.kb import KnowledgeBase
from lamlam.serve.access import Role

READS = {"find", "lookup", "facts", "cite", "history", "answer"}
WRITES = {"add", "correct", "forget"}
CANARY = "quercetin-7741"


@pytest.fixture
def server(tmp_path: Path) -> Guarded:
    return guarded(tmp_path, open_reads=False)


@asynccontextmanager
async def over_http(server: Guarded, role: Role | None) -> AsyncIterator[Client]:
    """A client of the server's `/mcp`; no network is in between."""
    headers = server.headers(role) if role else {}
    transport = httpx2.ASGITransport(app=server.app)
    async with (
        server.app.router.lifespan_context(server.app),
        httpx2.AsyncClient(transport=transport, headers=headers, base_url=LOCAL) as http,
        Client(streamable_http_client(f"{LOCAL}/mcp", http_client=http)) as client,
    ):
        yield client


@asynccontextmanager
async def over_stdio(kb: Path, *options: str) -> AsyncIterator[Client]:
    arguments = ["-m", "lamlam", "mcp", "--kb", str(kb), *options]
    async with Client(StdioServerParameters(command=sys.executable, args=arguments)) as client:
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    return dict(answer.structured_content or {})


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error, answer.structured_content
    return str(answer.content[0].text)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    anyio.run(test)


def test_tools_say_what_they_do_to_facts(server: Guarded) -> None:
    async def test() -> None:
        async with over_http(server, Role.READER) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == READS | WRITES
            assert {name for name, tool in tools.items() if tool.annotations.read_only_hint} == READS
            assert [name for name, tool in tools.items() if tool.annotations.destructive_hint] == ["forget"]
            assert all(tool.description for tool in tools.values())

    run(test)


def test_an_agent_finds_cites_and_asks(server: Guarded) -> None:
    async def test() -> None:
        async with over_http(server, Role.READER) as client:
            assert (await call(client, "find", text="Ada"))["entities"][0]["name"] == "Ada Lovelace"
            found = await call(client, "lookup", entity="Ada Lovelace", relation="Birth Place")
            assert (found["status"], [fact["value"] for fact in found["facts"]]) == ("exact", ["London"])
            assert (await call(client, "lookup", entity="Ada Lovelace", relation="Spouse"))[
                "status"
            ] == "unknown_relation"
            assert len((await call(client, "facts", entity="Ada Lovelace"))["facts"]) == 2
            cited = await call(client, "cite", fact=found["facts"][0]["id"])
            assert cited["fact"]["value"] == "London"
            assert cited["passages"] == []
            answer = await call(client, "answer", question="Where was Ada Lovelace born?")
            assert answer["lookups"][0]["value"] == "London"

    run(test)


def test_a_reader_may_do_over_mcp_what_it_may_do_over_the_api(server: Guarded) -> None:
    async def test() -> None:
        async with over_http(server, Role.READER) as client:
            assert "requires a token with role editor" in await refusal(client, "correct", fact=1, value="Paris")
            assert "role editor" in await refusal(client, "add", entity="a", relation="b", value="c")
            assert "role editor" in await refusal(client, "forget", fact=1)

    run(test)


def test_an_editor_may_do_over_mcp_what_it_may_do_over_the_api(server: Guarded, tmp_path: Path) -> None:
    async def test() -> None:
        async with over_http(server, Role.EDITOR) as client:
            assert (await call(client, "correct", fact=1, value="Paris", reason="moved"))["value"] == "Paris"
            assert "role eraser" in await refusal(client, "forget", fact=2, dry_run=False)

    run(test)
    with KnowledgeBase.open(tmp_path / "kb.sqlite") as kb:
        [latest, *_] = kb.log_page(None, 1)
    assert (latest.actor, latest.reason) == ("editor", "moved")


def test_without_a_token_there_is_no_tool(server: Guarded) -> None:
    with server.client() as client:
        answer = client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert answer.status_code == 401
    assert "requires a token with role reader" in answer.json()["error"]["message"]


def test_arguments_that_make_no_sense_are_refused_with_a_sentence(server: Guarded) -> None:
    async def test() -> None:
        async with over_http(server, Role.ERASER) as client:
            assert "give either fact" in await refusal(client, "forget")
            assert "there is no fact 99" in await refusal(client, "cite", fact=99)
            assert "is blank" in await refusal(client, "correct", fact=1, value=" ")
            assert "fact" in await refusal(client, "history", fact="../log")

    run(test)


def test_what_was_forgotten_is_gone_from_every_tool(tmp_path: Path) -> None:
    """The canary test of agents' memories: a value is stored, changed, erased, and then searched for everywhere."""
    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb.add(FACTS)

    async def test() -> None:
        async with over_stdio(path, "--role", "eraser", "--name", "agent") as client:
            assert set(WRITES) < {tool.name for tool in (await client.list_tools()).tools}
            await call(client, "add", entity="Eve", relation="Medicine", value=CANARY, document="chart")
            [fact] = (await call(client, "lookup", entity="Eve", relation="Medicine"))["facts"]
            await call(client, "correct", fact=fact["id"], value=f"{CANARY} 10 mg")
            planned = await call(client, "forget", entity="Eve")
            assert {fact["value"] for fact in planned["facts"]} == {CANARY, f"{CANARY} 10 mg"}
            assert CANARY in json.dumps(await call(client, "facts", entity="Eve"))
            erased = await call(client, "forget", entity="Eve", dry_run=False, reason="asked for")
            assert erased["certificate"]["clean"]
            said = [
                await call(client, "find", text="Eve"),
                await call(client, "lookup", entity="Eve", relation="Medicine"),
                await call(client, "facts", entity="Eve"),
                await call(client, "facts", text="quercetin"),
                await call(client, "facts", source="chart"),
                await refusal(client, "cite", fact=fact["id"]),
                await refusal(client, "history", fact=fact["id"]),
            ]
            assert CANARY not in json.dumps(said)
            assert (await call(client, "lookup", entity="Eve", relation="Medicine"))["status"] == "forgotten"
            again = await call(client, "add", entity="Eve", relation="Medicine", value=CANARY)
            assert (again["added"], len(again["refused"])) == (0, 1)

    run(test)
    assert not any(CANARY.encode() in file.read_bytes() for file in tmp_path.iterdir())


def test_a_reader_started_from_the_command_line_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    with KnowledgeBase.open(path, create=True) as kb:
        kb.add(FACTS)

    async def test() -> None:
        async with over_stdio(path) as client:
            assert "answer" not in {tool.name for tool in (await client.list_tools()).tools}
            assert "role editor" in await refusal(client, "correct", fact=1, value="Paris")

    run(test)
    with KnowledgeBase.open(path) as kb:
        assert kb.lookup(*FACTS[0][:2]).values == (FACTS[0][2],)
