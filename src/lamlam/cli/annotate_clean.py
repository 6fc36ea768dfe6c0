"""`lamlam annotate clean`: drop calls that are likely wrong, and report which and why."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lamlam.annotate.clean import Tally

__all__ = ["register"]

_SHOWN = 3  # samples of a reason on the terminal
_WIDE = 60


class Score(StrEnum):
    """How a model scores a call."""

    LOSS = "loss"
    CONTEXT = "context"


def register(app: typer.Typer) -> None:
    @app.command()
    def clean(
        source: Annotated[
            Path, typer.Argument(metavar="IN", help="Annotated documents (.jsonl or the paper's .json).")
        ],
        out: Annotated[Path | None, typer.Option(help="Output file (JSON Lines).")] = None,
        model: Annotated[
            Path | None, typer.Option(help="A causal model to score calls: a run or a Hugging Face folder.")
        ] = None,
        drop: Annotated[float, typer.Option(help="Share of the remaining calls that the model drops.")] = 0.1,
        score: Annotated[
            Score, typer.Option(help="loss: as in the paper; context: minus the loss of the call alone.")
        ] = Score.LOSS,
        skip: Annotated[
            list[str] | None,
            typer.Option(help="A rule to skip: malformed, duplicate, self, leak, value, entity, specific; repeatable."),
        ] = None,
        report: Annotated[Path | None, typer.Option(help="Write counts and samples here (JSON).")] = None,
        sample: Annotated[int, typer.Option(min=0, help="Dropped calls to sample for each reason.")] = 10,
        seed: Annotated[int, typer.Option(help="Random seed of the samples.")] = 0,
        device: Annotated[str, typer.Option(help="Device to run the model on.")] = "cpu",
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be dropped.")] = False,
    ) -> None:
        """Drop calls that break a rule, and those that a model finds least likely. The text stays unchanged."""
        from lamlam.annotate.clean import Cleaner, Tally
        from lamlam.annotate.clean.report import write_cleaning_report
        from lamlam.cli.kb_options import progress
        from lamlam.corpus.files import read_documents, write_documents
        from lamlam.errors import InputError
        from lamlam.files import refuse_stream

        if (out is None) != dry_run:
            raise InputError("give either --out or --dry-run")
        refuse_stream(source)
        scorer = None
        if model is not None:
            from lamlam.annotate.clean.losses import ContextScorer, load_scorer

            scorer = load_scorer(model, device)
            scorer = ContextScorer(scorer) if score is Score.CONTEXT else scorer
        cleaner, tally = Cleaner(scorer=scorer, drop=drop, skip=skip or (), sample=sample, seed=seed), Tally()
        with progress("cleaning documents, twice") as seen:
            left = cleaner.clean(lambda: read_documents(source), tally, seen)
            if out is None:
                for _ in left:
                    pass
            else:
                write_documents(left, out)
        _print(tally)
        if report is not None:
            write_cleaning_report(tally, report)


def _print(tally: "Tally") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        "dropped as", "calls", "share", "such as", title=f"{tally.calls:,} calls of {tally.documents:,} documents"
    )
    for column in table.columns[1:3]:
        column.justify = "right"
    for reason, count in tally.dropped.most_common():
        shown = [
            f"{each.call.entity}, {each.call.relation}: {each.call.value}" for each in tally.samples.get(reason, ())
        ]
        short = "\n".join(escape(" ".join(each[:_WIDE].split())) for each in shown[:_SHOWN])
        table.add_row(reason, f"{count:,}", f"{count / tally.calls:.1%}", short)
    table.add_section()
    kept = tally.calls - tally.dropped.total()
    table.add_row("kept", f"{kept:,}", f"{kept / tally.calls:.1%}" if tally.calls else "", "")
    Console().print(table)
