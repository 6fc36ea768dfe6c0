"""`lamlam serve RUN`: an HTTP API that OpenAI's clients speak, and a page on which facts can be changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lamlam.engine import Engine
    from lamlam.serve.access import Access
    from lamlam.serve.site import Served

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def serve(
        run: Annotated[Path, typer.Argument(help="The run's folder, with its checkpoint.")],
        kb: Annotated[str | None, typer.Option(help="The knowledge base.  [default: RUN/kb.sqlite]")] = None,
        documents: Annotated[
            Path | None, typer.Option(help="Texts of the facts' sources.  [default: RUN/corpus, if there]")
        ] = None,
        host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(help="The port to listen at.")] = 8000,
        tokens: Annotated[Path | None, typer.Option(help="The file of tokens.  [default: RUN/tokens.json]")] = None,
        set_: Annotated[
            list[str] | None,
            typer.Option("--set", metavar="KEY=VALUE", help="Change a limit of the server, as max_tokens=100."),
        ] = None,
    ) -> None:
        """Serve a model and its knowledge base: an API, and a page on which facts can be changed and forgotten."""
        import uvicorn

        from lamlam.checked import checked
        from lamlam.cli.pairs import pairs
        from lamlam.serve import ServeSettings, build_app
        from lamlam.serve.access import Access
        from lamlam.serve.origins import is_loopback

        settings = checked(ServeSettings, pairs(set_ or ()))
        served = _served(run, kb, documents, settings.batch_size)
        access = Access(tokens or run / "tokens.json", open_reads=is_loopback(host))
        _first_tokens(access)
        # Whose address a client has is not for the client to say, so that headers of proxies are not heeded.
        uvicorn.run(
            build_app(served, access, settings),
            host=host,
            port=port,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
        )


def _served(run: Path, kb: str | None, documents: Path | None, batch_size: int) -> "Served":
    from lamlam.engine import Engine
    from lamlam.kb import KnowledgeBase
    from lamlam.kb.connect import is_url
    from lamlam.model.checkpoint import Checkpoint
    from lamlam.serve.site import Served

    checkpoint, address = Checkpoint.load(run), kb or str(run / "kb.sqlite")

    @contextmanager
    def open_engine() -> "Iterator[Engine]":
        again = (lambda: KnowledgeBase.open(address)) if is_url(address) else None
        with KnowledgeBase.open(address) as facts:
            engine = Engine(checkpoint.model, checkpoint.vocabulary, facts, batch_size=batch_size, open_source=again)
            try:
                yield engine
            finally:
                engine.close()

    return Served(
        name=run.resolve().name,
        vocabulary=checkpoint.vocabulary,
        generation_config=checkpoint.model.generation_config,
        open_engine=open_engine,
        kb=address,
        documents=documents or (run / "corpus" if (run / "corpus").is_dir() else None),
    )


def _first_tokens(access: "Access") -> None:
    """Make a token of each role where there are none yet, and tell them this once."""
    from lamlam.serve.access import Role

    if access.empty:
        typer.echo("Tokens, told this once; only digests are kept:")
        for role in Role:
            typer.echo(f"  {role:8} {access.create(role, role)}")
