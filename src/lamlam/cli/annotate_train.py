"""`lamlam annotate train` and `train-causal`: train an annotator on annotated documents."""

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
        out: Annotated[Path, typer.Option(help="The tagger's folder.")],
        encoder: Annotated[
            str | None, typer.Option(help="A Hugging Face encoder: folder or name.  [default: MiniLM]")
        ] = None,
        epochs: Annotated[int | None, typer.Option(min=1, help="Maximum passes over the gold.")] = None,
        seed: Annotated[int | None, typer.Option(help="Fixes the training.")] = None,
        set_: Annotated[
            list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, e.g. batch=32.")
        ] = None,
    ) -> None:
        """Train a tagger; interrupted training continues from its last pass. Test documents are left out."""
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

            def on_progress(done: int, total: int, score: float | None) -> None:
                bar.update(task, completed=done, total=total, f1="-" if score is None else f"{score:.3f}")

            record = build_tagger(gold, out, settings, encoder=encoder, told=on_progress)
        Console().print(_table(record, out))

    @app.command("train-causal")
    def train_causal(
        gold: Annotated[
            list[str],
            typer.Argument(
                metavar="[STYLE=]GOLD…", help="Annotated documents, each file with the name of how it annotates."
            ),
        ],
        model: Annotated[str, typer.Option(help="A causal model: its folder, GGUF file or name on the hub.")],
        out: Annotated[Path, typer.Option(help="The adapter's folder; an interrupted run continues from its state.")],
        tokens: Annotated[int | None, typer.Option(min=1, help="Tokens to train on.")] = None,
        seed: Annotated[int | None, typer.Option(help="Fixes the training.")] = None,
        set_: Annotated[
            list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, as rank=16.")
        ] = None,
        merge: Annotated[Path | None, typer.Option(help="Where to also write base and adapter as one model.")] = None,
    ) -> None:
        """Fine-tune low-rank adapters of a causal model; an interrupted run continues. Test documents are left out."""
        from lamlam.annotate.causal import CausalModel, CausalTraining, GoldSource
        from lamlam.annotate.causal.training import train_causal as train
        from lamlam.checked import checked
        from lamlam.cli.pairs import pairs

        named = {"tokens": tokens, "seed": seed}
        given = pairs(set_ or []) | {key: str(value) for key, value in named.items() if value is not None}
        settings = checked(CausalTraining, given)
        summary = train([GoldSource.parse(each) for each in gold], model, out, settings)
        if merge is not None:
            CausalModel.open(out, base=model).save(merge)
        typer.echo(f"{summary['passages']:,} passages, {summary['tokens']:,} tokens. The adapter is in {out}.")
        for name, style in summary["styles"].items():
            measured = "" if style["f1"] is None else f", F1 of places {style['f1']:.1%} on its calibration split"
            typer.echo(f"style {name}: threshold {style['threshold']:.2f}{measured}")


def _table(record: dict[str, Any], out: Path) -> "Table":
    from rich.table import Table

    scores = record["calibration"]
    table = Table("F1 on the calibration split", *scores, title=f"The tagger is in {out}.")
    for name, label in _FIGURES.items():
        found = [score[name]["f1"]["value"] for score in scores.values()]
        table.add_row(label, *("-" if value is None else f"{value:.3f}" for value in found))
    return table
