"""`lamlam annotate score`: score annotations against a gold annotation."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from lamlam.annotate.intervals import Figure, Rate
    from lamlam.annotate.score import Score

__all__ = ["register"]


class Part(StrEnum):
    """A part of the gold documents."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    TEST = "test"
    ALL = "all"


_MEASURES = {
    "span_exact": "value, same place",
    "span_overlap": "value, overlapping",
    "entity": "  entity",
    "relation_exact": "  relation",
    "relation_meaning": "  relation's meaning",
    "call_exact": "call, exact",
    "call_meaning": "  by meaning",
    "fact": "fact, at any place",
}
_RATES = {
    "unplaced": "calls whose value is nowhere near",
    "early": "calls before their entity is known",
}
_LAST_OF_GROUP = ("relation_meaning", "call_meaning")


def register(app: typer.Typer) -> None:
    @app.command()
    def score(
        gold: Annotated[Path, typer.Option(help="The gold annotation (.jsonl, or the paper's .json).")],
        pred: Annotated[Path, typer.Option(help="The annotation to score; documents are matched by id.")],
        split: Annotated[Part, typer.Option(help="Which part of the gold counts, by a hash of titles.")] = Part.TEST,
        json: Annotated[Path | None, typer.Option(help="Where to write all figures as JSON.")] = None,
        threshold: Annotated[
            float | None, typer.Option(help="Relations this alike mean the same. [default: as in lookups]")
        ] = None,
        seed: Annotated[int, typer.Option(help="Seed of the bootstrap intervals.")] = 0,
    ) -> None:
        """Score annotations: precision, recall and F1 of places, entities, relations and whole calls."""
        from lamlam.annotate.score import ScoreSettings, Split, score_files

        chosen = ScoreSettings(seed=seed) if threshold is None else ScoreSettings(seed=seed, threshold=threshold)
        wanted = None if split is Part.ALL else Split(split.value)
        if split in (Part.TRAIN, Part.ALL):
            typer.echo(
                "lamlam: warning: annotators train on this part of the gold; don't report these figures", err=True
            )
        _print(score_files(gold, pred, split=wanted, settings=chosen, out=json), split)


def _print(score: "Score", split: Part) -> None:
    from rich.console import Console

    console = Console()
    console.print(_measures(score, split))
    console.print(_rates(score))


def _table(title: str, *columns: str) -> "Table":
    from rich.table import Table

    table = Table("", title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _measures(score: "Score", split: Part) -> "Table":
    title = f"{score.documents:,} documents ({split.value}); in percent, F1 with its 95% interval"
    table = _table(title, "prec.", "recall", "F1", "right", "given", "gold")
    for name, label in _MEASURES.items():
        measure = score.measures[name]
        shares = _percent(measure.precision), _percent(measure.recall), _with_interval(measure.f1)
        counts = (f"{count:,}" for count in (measure.hits, measure.predicted, measure.gold))
        table.add_row(label, *shares, *counts, end_section=name in _LAST_OF_GROUP)
    table.caption = f"relations mean the same from a likeness of {score.settings.threshold:g} on"
    return table


def _rates(score: "Score") -> "Table":
    table = _table("The annotations by themselves", "given", "gold")
    densities = score.predicted["density"], score.gold["density"]
    table.add_row("calls per 100 words", *(f"{rate.figure.value:.1f} ({rate.count:,} calls)" for rate in densities))
    for name, label in _RATES.items():
        table.add_row(label, _of(score.predicted[name]), _of(score.gold[name]))
    table.add_row("documents whose text is untouched", _of(score.untouched), "")
    for label, count in (("documents not annotated", score.missing), ("documents not in the gold", score.beyond)):
        if count:
            table.add_row(label, f"{count:,}", "")
    return table


def _of(rate: "Rate") -> str:
    return f"{_percent(rate.figure)}% of {rate.of:,}" if rate.of else "-"


def _with_interval(figure: "Figure") -> str:
    return (
        f"{_percent(figure)} ({100 * figure.low:.0f}-{100 * figure.high:.0f})" if figure.value == figure.value else "-"
    )


def _percent(figure: "Figure") -> str:
    """Format a share; a dash if there was nothing to divide by."""
    return f"{100 * figure.value:.1f}" if figure.value == figure.value else "-"
