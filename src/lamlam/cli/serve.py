"""`lamlam serve [RUN]`: an OpenAI-compatible API, and a page to change facts on."""

import gc
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamlam.cli.base import BaseOption
from lamlam.errors import InputError, needs_extra

if TYPE_CHECKING:
    from lamlam.serve.access import Access
    from lamlam.serve.listener import Listener
    from lamlam.serve.places import ServePaths
    from lamlam.serve.settings import ServeSettings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def serve(
        run: Annotated[
            Path | None,
            typer.Argument(help="The run's folder.  [default: runs/demo/lmlm if it exists, else the shipped model]"),
        ] = None,
        kb: Annotated[
            str | None,
            typer.Option(
                help="The knowledge base: a file or postgresql://…; the shipped model fills an empty one."
                "  [default: RUN/kb.sqlite]"
            ),
        ] = None,
        base: BaseOption = None,
        documents: Annotated[
            Path | None, typer.Option(help="Source documents of the facts.  [default: RUN/corpus if it exists]")
        ] = None,
        host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 8000,
        closed: Annotated[
            bool, typer.Option("--closed", help="Require a token for reading on loopback too; use it behind a proxy.")
        ] = False,
        tokens: Annotated[Path | None, typer.Option(help="The token file.  [default: RUN/tokens.json]")] = None,
        data: Annotated[
            Path | None,
            typer.Option(help="Serve the shipped model, with facts and tokens in this folder."),
        ] = None,
        set_: Annotated[
            list[str] | None,
            typer.Option("--set", metavar="KEY=VALUE", help="Change a limit, e.g. max_tokens=100."),
        ] = None,
    ) -> None:
        """Serve a model and its knowledge base: an OpenAI-compatible API and a page to change and forget facts."""
        from lamlam.checked import checked
        from lamlam.cli.pairs import pairs
        from lamlam.serve.settings import ServeSettings

        with needs_extra("serve", "the server"):
            from lamlam.serve.listener import Listener
        settings = checked(ServeSettings, pairs(set_ or ()))
        with closing(Listener(host, port)) as listener:
            places, told = _places(run, kb, data)
            places = replace(places, documents=documents or places.documents, tokens=tokens or places.tokens, base=base)
            _serve(listener, places, settings, told, open_reads=listener.loopback and not closed)


def _places(run: Path | None, kb: str | None, data: Path | None) -> "tuple[ServePaths, str]":
    """Return what to serve, and a sentence that describes it."""
    from lamlam.model.folder import holds_checkpoint
    from lamlam.serve.places import DEMO, ServePaths

    if run is not None and data is not None:
        raise InputError("--data is for the shipped model; a run keeps facts and tokens in its own folder")
    if run is None and (data is not None or not holds_checkpoint(DEMO)):
        places, which = (
            ServePaths.of_shipped(data, kb),
            "the shipped model; its facts are",
        )
    else:
        places, which = ServePaths.of_run(run or DEMO), f"{run or DEMO}; its facts are"
    # An address may contain a password: don't print it.
    told = f"Serving {which} {f'in {places.kb}' if kb is None else 'where --kb says'}."
    return (places if kb is None else replace(places, kb=kb)), told


def _serve(
    listener: "Listener", places: "ServePaths", settings: "ServeSettings", told: str, *, open_reads: bool
) -> None:
    from transformers.utils.logging import disable_progress_bar

    from lamlam.serve.access import Access
    from lamlam.serve.app import build_app
    from lamlam.serve.opening import open_served

    disable_progress_bar()
    access = Access(places.tokens, open_reads=open_reads)
    app = build_app(open_served(places, settings.batch_size), access, settings)
    typer.echo(told)
    token = _first_tokens(access)
    if token is None:
        typer.echo(f"To create another token: lamlam token add {access.path} NAME --role editor")
    typer.echo(f"Open {listener.url}{f'#token={token}' if token else ''}")
    listener.run(app)
    gc.freeze()  # skip the final collection, which takes seconds


def _first_tokens(access: "Access") -> str | None:
    """On first start, create and print a token per role. Return the eraser's, or None if tokens exist."""
    from lamlam.serve.access import Role

    if not access.empty:
        return None
    made = {role: access.create(role, role) for role in Role}
    typer.echo(f"Tokens (shown only once; {access.path} stores their digests):")
    for role, token in made.items():
        typer.echo(f"  {role:8} {token}")
    return made[Role.ERASER]
