"""`lamlam annotate IN`, or `lamlam annotate documents IN`: insert lookup calls into documents."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lamlam.annotate.file import Tally

__all__ = ["register"]


class Annotator(StrEnum):
    """What can annotate."""

    ALIGN = "align"


def register(app: typer.Typer) -> None:
    @app.command()
    def documents(
        source: Annotated[
            Path,
            typer.Argument(
                metavar="IN", help='Documents (.jsonl, .json, .txt, .md or a folder), or {"text", "triples"}.'
            ),
        ],
        with_: Annotated[Annotator, typer.Option("--with", help="align: place known facts where a text states them.")],
        out: Annotated[Path, typer.Option(help="Where to write the annotated documents (JSON Lines).")],
        facts: Annotated[
            Path | None, typer.Option(help="Facts to look for (JSON Lines); not needed where texts come with triples.")
        ] = None,
        kb: Annotated[str | None, typer.Option(help="A knowledge base to add the facts to, with their places.")] = None,
    ) -> None:
        """Annotate documents: find where a text states a fact after naming its entity, and insert the call there."""
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        from lamlam.annotate.file import annotate_file

        columns = (SpinnerColumn(), TextColumn("annotating documents"), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)
            tally = annotate_file(source, out, facts=facts, knowledge_base=kb, seen=lambda: bar.advance(task))
        _print(tally, out)


def _print(tally: "Tally", out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    tried = tally.placed + tally.unplaced.total()
    table = Table("", "number", "share", title=f"{tally.documents:,} documents in {out}")
    for column in table.columns[1:]:
        column.justify = "right"
    rows = {"facts tried": tried, "placed": tally.placed}
    rows |= {reason.replace("_", " "): count for reason, count in tally.unplaced.most_common()}
    for name, count in rows.items():
        table.add_row(name, f"{count:,}", f"{count / tried:.1%}" if tried else "")
    if report := tally.knowledge_base:
        table.add_section()
        table.add_row("new in the knowledge base", f"{report.added:,}", "")
        table.add_row("known there, or stated again", f"{report.known:,}", "")
        table.add_row("refused, as they were forgotten", f"{len(report.refused):,}", "")
    Console().print(table)
