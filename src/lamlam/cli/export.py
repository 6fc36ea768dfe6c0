"""`lamlam export RUN OUT`: a run's adapter alone, to be given to others."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def export(
        run: Annotated[Path, typer.Argument(help="The run's folder, with its adapter.")],
        out: Annotated[Path, typer.Argument(help="The folder to write.")],
        name: Annotated[str, typer.Option(help="What others know the base model by: its name on the hub.")],
        license: Annotated[str, typer.Option(help="The licence, as in SPDX's list.")] = "apache-2.0",
        accept: Annotated[
            list[str] | None,
            typer.Option(help="A digest or a name on the hub to accept as the base too; can be repeated."),
        ] = None,
    ) -> None:
        """Write a run's adapter, tokenizer and recipe, without its corpus, its facts and the places on this machine."""
        from lamlam.pretrain.export import export_adapter

        export_adapter(run, out, name=name, license=license, accept=tuple(accept or ()))
        size = sum(path.stat().st_size for path in out.iterdir()) / 1e6
        typer.echo(f"The adapter is in {out}: {size:.1f} MB.")
