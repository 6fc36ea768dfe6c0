"""`lamlam annotate clean`: drop calls that are likely wrong, and report which and why."""

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lamlam.annotate.clean import CleaningTally

__all__ = ["register"]

_SHOWN = 3  # samples per reason on the terminal
_WIDE = 60


def register(app: typer.Typer) -> None:
    @app.command()
    def clean(
        source: Annotated[
            Path, typer.Argument(metavar="IN", help="Annotated documents (.jsonl or the paper's .json).")
        ],
        out: Annotated[Path | None, typer.Option(help="Where to write the cleaned documents (JSON Lines).")] = None,
        skip: Annotated[
            list[str] | None,
            typer.Option(help="A rule to leave out: malformed, duplicate, self, leak, value, entity, specific."),
        ] = None,
        report: Annotated[Path | None, typer.Option(help="Where to write counts and samples (JSON).")] = None,
        sample: Annotated[int, typer.Option(min=0, help="How many dropped calls to report for each reason.")] = 10,
        seed: Annotated[int, typer.Option(help="Fixes which ones.")] = 0,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what would be dropped.")] = False,
    ) -> None:
        """Drop calls that break a rule; texts stay as they are."""
        from lamlam.annotate.clean import Cleaner, CleaningTally
        from lamlam.cli.kb_options import progress
        from lamlam.corpus.files import read_documents, write_documents
        from lamlam.errors import InputError
        from lamlam.files import refuse_stream

        if (out is None) != dry_run:
            raise InputError("give either --out or --dry-run")
        refuse_stream(source)
        cleaner, tally = Cleaner(skip=skip or (), sample=sample, seed=seed), CleaningTally()
        with progress("cleaning documents, twice") as on_progress:
            cleaned = cleaner.clean(lambda: read_documents(source), tally, on_progress)
            if out is None:
                deque(cleaned, maxlen=0)
            else:
                write_documents(cleaned, out)
        _print(tally)
        if report is not None:
            tally.write(report)


def _print(tally: "CleaningTally") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        "dropped as", "calls", "share", "such as", title=f"{tally.calls:,} calls of {tally.documents:,} documents"
    )
    for column in table.columns[1:3]:
        column.justify = "right"
    for reason, count in tally.dropped.most_common():
        calls = [sample.call for sample in tally.samples.get(reason, ())[:_SHOWN]]
        facts = [f"{call.entity}, {call.relation}: {call.value}" for call in calls]
        short = "\n".join(escape(" ".join(fact[:_WIDE].split())) for fact in facts)
        table.add_row(reason, f"{count:,}", f"{count / tally.calls:.1%}", short)
    table.add_section()
    kept = tally.calls - tally.dropped.total()
    table.add_row("kept", f"{kept:,}", f"{kept / tally.calls:.1%}" if tally.calls else "", "")
    Console().print(table)
