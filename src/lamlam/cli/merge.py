"""`lamlam merge RUN OUT`: merge an adapter into its base, as one plain Hugging Face folder."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from lamlam.cli.base import BaseOption

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def merge(
        run: Annotated[Path, typer.Argument(help="The adapter's folder.")],
        out: Annotated[Path, typer.Argument(help="Output folder.")],
        base: BaseOption = None,
    ) -> None:
        """Merge an adapter into its base and write a plain Hugging Face model."""
        from lamlam.errors import InputError
        from lamlam.model.checkpoint import Checkpoint
        from lamlam.model.folder import is_adapter

        if not is_adapter(run):
            raise InputError("the folder has no adapter", path=run)
        if out.resolve() == run.resolve():
            raise InputError("write the merged model to another folder", path=out)
        Checkpoint.load(run, base=base).save(out)
        if (run / "recipe.yaml").exists():
            shutil.copyfile(run / "recipe.yaml", out / "recipe.yaml")
        typer.echo(f"The model is in {out}.")
