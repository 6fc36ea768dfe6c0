"""`lamlam export RUN OUT`: export a run's adapter for sharing."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def export(
        run: Annotated[Path, typer.Argument(help="The run's folder, with its adapter.")],
        out: Annotated[Path, typer.Argument(help="Output folder.")],
        name: Annotated[str, typer.Option(help="The base model's name on the hub.")],
        license: Annotated[str, typer.Option(help="The adapter's licence, as an SPDX identifier.")] = "apache-2.0",
        accept: Annotated[
            list[str] | None,
            typer.Option(help="Another base to accept, by digest or hub name; repeatable."),
        ] = None,
    ) -> None:
        """Write a run's adapter, tokenizer and recipe, without its corpus, facts and local paths."""
        from lamlam.pretrain.export import export_adapter

        export_adapter(run, out, name=name, license=license, accept=tuple(accept or ()))
        size = sum(path.stat().st_size for path in out.iterdir()) / 1e6
        typer.echo(f"The adapter is in {out}: {size:.1f} MB.")
