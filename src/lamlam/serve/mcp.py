"""The knowledge base and the model as tools of the Model Context Protocol, which agents call.

Each tool is a request to the server's own API, made inside the process. So roles, limits and errors are the API's, and
no tool can do what a route refuses.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal, cast

import httpx2
from fastapi import FastAPI
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import ToolAnnotations
from pydantic import Field
from starlette.types import ASGIApp, Receive, Scope, Send

from lamlam.serve.access import ACTOR, Actor, require_reader
from lamlam.serve.middleware import INSIDE

__all__ = ["MCPEndpoint", "mcp_server"]

_INSTRUCTIONS = """\
Facts with an identity, a source and a history. Find a name first, then look up or list its facts; cite a fact before
you rely on it. Correcting keeps the old value in the history. Forgetting erases for good: call it as a dry run
first, show the user what would go, and erase only when the user agrees."""

_Fact = Annotated[int, Field(description="A fact's id.")]
_Entity = Annotated[str, Field(description="An entity's name or alias.")]
_Relation = Annotated[str, Field(description="A relation's name or alias.")]
_Reason = Annotated[str, Field(description="Why, for the log.")]
_READS = ToolAnnotations(read_only_hint=True)
_WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False)
_ERASES = ToolAnnotations(read_only_hint=False, destructive_hint=True)


def mcp_server(app: FastAPI, *, actor: Actor | None = None, answers: bool) -> MCPServer:
    """The tools of a server's application; with `answers`, one that asks the model.

    Tools act for `actor`, or, where that is None, for whoever sent the token in a request's `Authorization` header.
    """
    # Without a handler, the SDK would set up logging for the whole process. This is what Python does by itself.
    logging.basicConfig(
        format="%(message)s", level=logging.WARNING, handlers=[cast(logging.Handler, logging.lastResort)]
    )
    api = _API(app, actor)
    server: MCPServer = MCPServer("lamlam", title="LamLam", instructions=_INSTRUCTIONS)
    tools: list[tuple[Callable[..., Awaitable[dict[str, Any]]], ToolAnnotations]] = [
        (api.find, _READS),
        (api.lookup, _READS),
        (api.facts, _READS),
        (api.cite, _READS),
        (api.history, _READS),
        (api.add, _WRITES),
        (api.correct, _WRITES),
        (api.forget, _ERASES),
        *([(api.answer, _READS)] if answers else []),
    ]
    for function, annotations in tools:
        server.add_tool(function, annotations=annotations)
    return server


class MCPEndpoint:
    """An ASGI endpoint that speaks MCP (streamable HTTP, without sessions) to readers, while `running`."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._inner: ASGIApp | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = mcp_server(self._app, answers=True)
        # The application checks the names by which it is asked itself (`LocalNamesMiddleware`).
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        self._inner = server.streamable_http_app(json_response=True, stateless_http=True, transport_security=security)
        async with server.session_manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        require_reader(self._app.state.lamlam.access, scope)
        assert self._inner is not None
        await self._inner(scope, receive, send)


class _API:
    """The tools, each a request to the API. Raises `ToolError` with the API's sentence for whatever it refuses."""

    def __init__(self, app: FastAPI, actor: Actor | None) -> None:
        self._app, self._actor = app, actor

    async def find(
        self, context: Context, text: Annotated[str, Field(description="How a name begins.")], limit: int = 10
    ) -> dict[str, Any]:
        """Find entities by the beginning of a name or alias."""
        return await self._get(context, "/kb/search", q=text, limit=limit)

    async def lookup(self, context: Context, entity: _Entity, relation: _Relation) -> dict[str, Any]:
        """Look up one relation of an entity. `status` says whether it was found and if not, why. Nothing is guessed."""
        return await self._get(context, "/kb/lookup", entity=entity, relation=relation)

    async def facts(
        self,
        context: Context,
        entity: _Entity | None = None,
        relation: _Relation | None = None,
        source: Annotated[str | None, Field(description="The id of the document that states it.")] = None,
        text: Annotated[str | None, Field(description="Part of the value.")] = None,
        after: Annotated[int, Field(description="`next` of the page before.")] = 0,
        limit: int = 50,
    ) -> dict[str, Any]:
        """List the facts that hold, page by page."""
        wanted = _given(entity=entity, relation=relation, source=source, text=text)
        return await self._get(context, "/kb/facts", **wanted, after=after, limit=limit)

    async def cite(self, context: Context, fact: _Fact) -> dict[str, Any]:
        """Show a fact with the documents that state it and the text around each place."""
        found = await self._get(context, f"/kb/facts/{fact:d}")
        return {"fact": found, **await self._get(context, f"/kb/facts/{fact:d}/passages")}

    async def history(self, context: Context, fact: _Fact) -> dict[str, Any]:
        """Show what stood in a fact's place before it and after it."""
        return await self._get(context, f"/kb/facts/{fact:d}/history")

    async def add(
        self,
        context: Context,
        entity: _Entity,
        relation: _Relation,
        value: str,
        document: Annotated[str | None, Field(description="The id of the document that states it.")] = None,
        reason: _Reason = "",
    ) -> dict[str, Any]:
        """Add a fact. A fact that was forgotten is refused."""
        fact = {"entity": entity, "relation": relation, "value": value}
        source = {} if document is None else {"source": {"document": document}}
        return await self._send(context, "POST", "/kb/facts", {"facts": [fact | source], "reason": reason})

    async def correct(self, context: Context, fact: _Fact, value: str, reason: _Reason = "") -> dict[str, Any]:
        """Give a fact another value. The old one stays in the history."""
        return await self._send(context, "PATCH", f"/kb/facts/{fact:d}", {"value": value, "reason": reason})

    async def forget(
        self,
        context: Context,
        fact: _Fact | None = None,
        entity: _Entity | None = None,
        relation: _Relation | None = None,
        value: str | None = None,
        source: Annotated[str | None, Field(description="Forget all that this document states.")] = None,
        include: Annotated[
            list[Literal["values", "mentions", "lookalikes", "documents"]] | None,
            Field(description="With an entity alone: also facts of others that tell of it."),
        ] = None,
        dry_run: Annotated[bool, Field(description="Show what would go, and change nothing.")] = True,
        reason: _Reason = "",
    ) -> dict[str, Any]:
        """Erase facts for good, with their history. By default it only shows what would go."""
        wanted = _given(fact=fact, entity=entity, relation=relation, value=value, source=source, include=include)
        return await self._send(context, "POST", "/kb/forget", wanted | {"dry_run": dry_run, "reason": reason})

    async def answer(self, context: Context, question: str, max_tokens: int = 64) -> dict[str, Any]:
        """Ask the model. `lookups` are the facts behind its answer, each with the characters that state it."""
        asked = {"messages": [{"role": "user", "content": question}], "max_tokens": max_tokens, "temperature": 0}
        [choice] = (await self._send(context, "POST", "/v1/chat/completions", asked))["choices"]
        return {"answer": choice["message"]["content"], "lookups": choice["lookups"]}

    async def _get(self, context: Context, path: str, **parameters: Any) -> dict[str, Any]:
        return await self._request(context, "GET", path, params=parameters)

    async def _send(self, context: Context, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self._request(context, method, path, json=body)

    async def _request(self, context: Context, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        token = None if self._actor else (context.headers or {}).get("authorization")
        headers = {} if token is None else {"Authorization": token}
        transport = httpx2.ASGITransport(app=self._inside)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=None) as client:
            answer = await client.request(method, path, headers=headers, **arguments)
        said = answer.json()
        if answer.is_error:
            raise ToolError(said["error"]["message"])
        return dict(said)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        own: dict[str, Any] = {INSIDE: True} | ({} if self._actor is None else {ACTOR: self._actor})
        await self._app({**scope, **own}, receive, send)


def _given(**arguments: Any) -> dict[str, Any]:
    """Return the arguments that were given."""
    return {name: value for name, value in arguments.items() if value is not None}
