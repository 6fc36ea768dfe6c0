"""`lamlam annotate train GOLD...`: train a tagger on annotated documents."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["register"]

_FIGURES = {
    "span_exact": "values, exact span",
    "span_overlap": "values, overlapping span",
    "entity": "their entity",
    "relation_exact": "their relation, exact",
    "relation_meaning": "their relation, by meaning",
    "call_exact": "whole calls, exact",
    "call_meaning": "whole calls, by meaning",
}


def register(app: typer.Typer) -> None:
    @app.command()
    def train(
        gold: Annotated[
            list[Path],
            typer.Argument(help="Annotated documents to train on (.jsonl, .json); the first file sets the style."),
        ],
        out: Annotated[Path, typer.Option(help="Output folder for the tagger.")],
        encoder: Annotated[
            str | None, typer.Option(help="A Hugging Face encoder: folder or name.  [default: MiniLM]")
        ] = None,
        epochs: Annotated[int | None, typer.Option(min=1, help="Maximum number of epochs.")] = None,
        seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
        set_: Annotated[
            list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, e.g. batch=32.")
        ] = None,
    ) -> None:
        """Train a tagger on annotated documents, except the test split. Rerun to resume after the last epoch."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from lamlam.annotate.tagger.building import build_tagger
        from lamlam.annotate.tagger.settings import TaggerSettings

        named = {"epochs": epochs, "seed": seed}
        changes = [*(set_ or ()), *(f"{key}={value}" for key, value in named.items() if value is not None)]
        settings = TaggerSettings.read(changes)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("best F1 {task.fields[f1]}"), TimeRemainingColumn())
        with Progress(TextColumn("training a tagger"), *columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None, f1="-")

            def told(done: int, total: int, score: float | None) -> None:
                bar.update(task, completed=done, total=total, f1="-" if score is None else f"{score:.3f}")

            record = build_tagger(gold, out, settings, encoder=encoder, told=told)
        Console().print(_table(record, out))


def _table(record: dict[str, Any], out: Path) -> "Table":
    from rich.table import Table

    scores = record["calibration"]
    table = Table("F1 on the calibration split", *scores, title=f"The tagger is in {out}.")
    for name, label in _FIGURES.items():
        found = [score[name]["f1"]["value"] for score in scores.values()]
        table.add_row(label, *("-" if value is None else f"{value:.3f}" for value in found))
    return table
