"""`lamlam serve [RUN]`: an HTTP API that OpenAI's clients speak, and a page on which facts can be changed."""

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
            typer.Argument(
                help="The run's folder, with its checkpoint.  [default: runs/demo/lmlm, if there, else LamLam's own]"
            ),
        ] = None,
        kb: Annotated[
            str | None,
            typer.Option(
                help="The knowledge base: a file, or postgresql://…; with LamLam's model made where missing."
                "  [default: RUN/kb.sqlite]"
            ),
        ] = None,
        base: BaseOption = None,
        documents: Annotated[
            Path | None, typer.Option(help="Texts of the facts' sources.  [default: RUN/corpus, if there]")
        ] = None,
        host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(help="The port to listen at.")] = 8000,
        closed: Annotated[
            bool, typer.Option("--closed", help="Reading takes a token on this machine, too: behind a proxy.")
        ] = False,
        tokens: Annotated[Path | None, typer.Option(help="The file of tokens.  [default: RUN/tokens.json]")] = None,
        data: Annotated[
            Path | None,
            typer.Option(help="Serve LamLam's own model, with its facts and tokens in this folder."),
        ] = None,
        set_: Annotated[
            list[str] | None,
            typer.Option("--set", metavar="KEY=VALUE", help="Change a limit of the server, as max_tokens=100."),
        ] = None,
    ) -> None:
        """Serve a model and its knowledge base: an API, and a page on which facts can be changed and forgotten."""
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
    """What is to be served, and which that is in a sentence."""
    from lamlam.model.folder import holds_checkpoint
    from lamlam.serve.places import DEMO, ServePaths

    if run is not None and data is not None:
        raise InputError("--data is for LamLam's own model: a run has its facts and tokens in its folder")
    if run is None and (data is not None or not holds_checkpoint(DEMO)):
        places, which = (
            ServePaths.of_shipped(data, kb),
            "the model that comes with LamLam; its facts, yours to change, stand",
        )
    else:
        places, which = ServePaths.of_run(run or DEMO), f"{run or DEMO}; its facts stand"
    # An address that was given may hold a password, and is not told again.
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
        typer.echo(f"For another token: lamlam token add {access.path} NAME --role editor")
    typer.echo(f"Open {listener.url}{f'#token={token}' if token else ''}")
    listener.run(app)
    gc.freeze()  # what is left goes with the process: to look through all of it first takes seconds


def _first_tokens(access: "Access") -> str | None:
    """Make a token of each role where there are none yet, and tell them this once; the last, which allows all."""
    from lamlam.serve.access import Role

    if not access.empty:
        return None
    made = {role: access.create(role, role) for role in Role}
    typer.echo(f"Tokens, told this once; {access.path} holds their digests alone:")
    for role, token in made.items():
        typer.echo(f"  {role:8} {token}")
    return made[Role.ERASER]
