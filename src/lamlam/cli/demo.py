"""`lamlam demo`: the whole loop on the invented world, in minutes on a CPU."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def demo(
        out: Annotated[Path, typer.Option(help="The folder of the demo's runs, results and report.")] = Path(
            "runs/demo"
        ),
        set_: Annotated[
            list[str] | None,
            typer.Option(
                "--set", metavar="KEY=VALUE", help="Change a field of both arms' recipes, as training.tokens=100000."
            ),
        ] = None,
    ) -> None:
        """Make a world, pretrain both arms, look facts up, edit, forget, and write a report."""
        from lamlam.demo import run_demo

        run_demo(out, changes=set_ or ())
