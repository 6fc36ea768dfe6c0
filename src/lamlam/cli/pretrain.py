"""`lamlam pretrain RECIPE.yaml`: train a model, or continue an interrupted run."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def pretrain(
        recipe: Annotated[Path, typer.Argument(help="A YAML file as under recipes/.")],
        set_: Annotated[
            list[str] | None,
            typer.Option("--set", metavar="KEY=VALUE", help="Change a field, as training.tokens=100000."),
        ] = None,
        out: Annotated[Path | None, typer.Option(help="The run's folder.  [default: runs/NAME]")] = None,
        seconds: Annotated[
            float | None,
            typer.Option(
                min=0, help="Save the state and stop after this time; the same command continues.", show_default=False
            ),
        ] = None,
    ) -> None:
        """Pretrain a model from a recipe; an interrupted run continues from its last saved state."""
        from lamlam.pretrain.recipe import load_recipe
        from lamlam.pretrain.trainer import DistributedContext
        from lamlam.pretrain.training import pretrain as train

        settings = load_recipe(recipe, set_ or ())
        folder = out or Path("runs") / settings.name
        train(settings, folder, seconds=seconds)
        ranks = DistributedContext.from_environment()
        if ranks.first:
            typer.echo(f"The checkpoint is in {folder}.")
        ranks.leave()
