"""The tools of `serve.mcp` over standard input and output, for an agent that starts the command itself."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast

import anyio
from transformers import GenerationConfig

from lamlam.engine import Engine
from lamlam.errors import LamLamError
from lamlam.serve.access import Access, Actor
from lamlam.serve.app import build_app
from lamlam.serve.mcp import mcp_server
from lamlam.serve.opening import open_served
from lamlam.serve.places import ServePaths
from lamlam.serve.settings import ServeSettings
from lamlam.serve.state import Served
from lamlam.vocab import Vocabulary

__all__ = ["run_stdio"]

_NO_TOKENS = Path(os.devnull, "tokens.json")  # where no file can be


def run_stdio(
    run: Path | None, kb: str | None, actor: Actor, *, base: str | None = None, documents: Path | None = None
) -> None:
    """Speak MCP over standard input and output until it ends. Without a run there is no model to ask.

    Raises `InputError` when the run, its model, the knowledge base or the documents can't be opened.
    """
    anyio.run(_stdio, _served(run, kb, base, documents), actor, run is not None)


async def _stdio(served: Served, actor: Actor, answers: bool) -> None:
    app = build_app(served, Access(_NO_TOKENS, open_reads=True))
    server = mcp_server(app, actor=actor, answers=answers)
    async with app.router.lifespan_context(app) if answers else nullcontext():
        await server.run_stdio_async()


def _served(run: Path | None, kb: str | None, base: str | None, documents: Path | None) -> Served:
    if run is not None:
        paths = ServePaths.of_run(run)
        paths = replace(paths, kb=kb or paths.kb, documents=documents or paths.documents, base=base)
        return open_served(paths, ServeSettings().batch_size)
    assert kb is not None
    no_vocabulary = cast(Vocabulary, None)  # no tool asks the model, and the application's life, with it, isn't begun
    return Served("", no_vocabulary, GenerationConfig(), _no_engine, kb, documents)


def _no_engine() -> AbstractContextManager[Engine]:
    raise LamLamError("there is no model")
