"""`lamlam demo`: the whole loop on the invented world, in minutes on a CPU."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamlam.errors import needs_extra

if TYPE_CHECKING:
    from lamlam.report.run import RunResults

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def demo(
        out: Annotated[Path, typer.Option(help="Output folder for runs, results and report.")] = Path("runs/demo"),
        set_: Annotated[
            list[str] | None,
            typer.Option(
                "--set", metavar="KEY=VALUE", help="Change a field in both recipes, e.g. training.tokens=100000."
            ),
        ] = None,
    ) -> None:
        """Run the whole loop: invent a world, train both arms, look up, edit and forget facts, write a report."""
        with needs_extra("report", "a report"):
            from lamlam.demo import run_demo
        from lamlam.report.run import RunResults

        run_demo(out, changes=set_ or ())
        _print_figures(RunResults.read(out))
        typer.echo(f"The report is {out / 'report.html'}; every figure is in {out / 'results.json'}.")


def _print_figures(run: "RunResults") -> None:
    from rich.console import Console
    from rich.table import Table

    from lamlam.report.headline import changes, headline

    table = Table("figure", "LMLM", "standard", title="A limited-memory model and a standard one", title_justify="left")
    for row in headline(run):
        table.add_row(f"{row.label} [dim]({row.note})[/dim]", row.lmlm, row.standard)
    for value, label, _ in changes(run):
        table.add_row(f"share {label}" if label.startswith("of ") else f"share of {label}", value, "—")
    Console().print(table)
