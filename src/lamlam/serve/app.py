"""Builds the application from routes, error handlers, limits and the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Scope

from lamlam.serve import access as tokens
from lamlam.serve import chat, completions, facts
from lamlam.serve.access import Access, Reader
from lamlam.serve.batch import RunningBatch
from lamlam.serve.documents import Documents
from lamlam.serve.errors import ANSWERS, Stopped, handle_faults
from lamlam.serve.knowledge import Knowledge
from lamlam.serve.metrics import Metrics
from lamlam.serve.middleware import (
    BodyMiddleware,
    ErrorMiddleware,
    LimitsMiddleware,
    LocalNamesMiddleware,
    MetricsMiddleware,
    SafeHeadersMiddleware,
)
from lamlam.serve.settings import ServeSettings
from lamlam.serve.state import AppState, Served, StateOf

if TYPE_CHECKING:
    from lamlam.serve.mcp import MCPEndpoint

__all__ = ["build_app"]

_PAGE = Path(__file__).parent / "page"


def build_app(served: Served, access: Access, settings: ServeSettings | None = None) -> FastAPI:
    """Build an ASGI application that serves a model and its knowledge base.

    Raises `InputError` if the knowledge base or the documents are missing; the model is opened at startup.
    """
    settings = settings or ServeSettings()
    state = AppState(
        served=served,
        settings=settings,
        batch=RunningBatch(served.open_engine, settings.max_waiting),
        knowledge=Knowledge(served.kb),
        documents=Documents(served.documents),
        access=access,
        metrics=Metrics(),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        state.batch.start()
        async with nullcontext() if tools is None else tools.running():
            yield
        state.batch.close()
        state.knowledge.close()

    # The description is available to anyone with read access; FastAPI's pages would load scripts from elsewhere.
    app = FastAPI(
        title="LamLam",
        version=version("lamlam"),
        lifespan=lifespan,
        responses=ANSWERS,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        middleware=_guards(state),
    )
    app.state.lamlam = state
    handle_faults(app)
    app.include_router(tokens.router)
    app.include_router(completions.router)
    app.include_router(chat.router)
    app.include_router(facts.router)
    _watching(app)
    if (tools := _tools(app)) is not None:
        app.router.routes.append(Route("/mcp", tools, include_in_schema=False))
    app.router.default = _Page(directory=_PAGE, html=True)  # for unmatched paths, whatever the method
    return app


def _tools(app: FastAPI) -> "MCPEndpoint | None":
    """The endpoint for agents, where the extra `mcp` is installed."""
    try:
        from lamlam.serve.mcp import MCPEndpoint
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("mcp", "mcp_types"):
            return None
        raise
    return MCPEndpoint(app)


class _Page(StaticFiles):
    """The page's files; any other path is 404, whatever the method."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            found = await super().get_response(path, {**scope, "method": "GET"})
        except HTTPException as error:
            if error.status_code == 404:
                raise HTTPException(404, "nothing at this path; /openapi.json lists the routes") from error
            raise
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        return found


def _guards(state: AppState) -> list[Middleware]:
    """Return the middleware, outermost first."""
    return [
        Middleware(SafeHeadersMiddleware),
        Middleware(MetricsMiddleware, metrics=state.metrics),
        Middleware(ErrorMiddleware),
        Middleware(LocalNamesMiddleware, open_reads=state.access.open_reads),
        Middleware(LimitsMiddleware, access=state.access, settings=state.settings),
        Middleware(BodyMiddleware, settings=state.settings),
    ]


def _watching(app: FastAPI) -> None:
    @app.get("/healthz", tags=["watching"])
    async def healthz(state: StateOf) -> dict[str, str]:
        """Check that the model runs and the knowledge base is readable; 503 otherwise. Requires no token."""
        if not state.batch.writes:
            raise Stopped()
        await state.knowledge.watch()
        return {"status": "ok"}

    @app.get("/metrics", tags=["watching"], response_class=Response)
    async def metrics(state: StateOf, _: Reader) -> Response:
        """Return Prometheus metrics."""
        revision = await state.knowledge.watch()
        figures = state.metrics.text(held=state.batch.held, batch_size=state.settings.batch_size, revision=revision)
        return Response(figures, media_type="text/plain; version=0.0.4")

    @app.get("/openapi.json", tags=["watching"])
    async def description(_: Reader) -> dict[str, Any]:
        """Return the OpenAPI description."""
        return app.openapi()
