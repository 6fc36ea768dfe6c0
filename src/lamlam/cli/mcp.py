"""`lamlam mcp`: facts, and the model, as tools of the Model Context Protocol over standard input and output."""

from pathlib import Path
from typing import Annotated

import typer

from lamlam.cli.base import BaseOption
from lamlam.errors import InputError, needs_extra

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def mcp(
        run: Annotated[Path | None, typer.Argument(help="A run's folder, if the model is to answer as well.")] = None,
        kb: Annotated[
            str | None,
            typer.Option(help="The knowledge base: a file, or postgresql://…  [default: RUN/kb.sqlite]"),
        ] = None,
        base: BaseOption = None,
        documents: Annotated[
            Path | None, typer.Option(help="Texts of the facts' sources.  [default: RUN/corpus, if there]")
        ] = None,
        role: Annotated[str, typer.Option(help="What tools may do: reader, editor or eraser.")] = "reader",
        name: Annotated[str, typer.Option(help="Who acts, for the log of the knowledge base.")] = "mcp",
    ) -> None:
        """Offer facts as tools to an agent: find, cite, correct and forget them."""
        with needs_extra("mcp", "an MCP server"):
            from lamlam.serve.access import Actor, Role
            from lamlam.serve.mcp_stdio import run_stdio

        if role not in list(Role):
            raise InputError(f"must be one of {', '.join(Role)}, not '{role}'", field="role")
        if run is None and kb is None:
            raise InputError("name a run, or a knowledge base with --kb")
        run_stdio(run, kb, Actor(name, Role(role)), base=base, documents=documents)
