"""The commands of `lamlam kb` that adapt the matching of relations to your own data."""

from pathlib import Path
from typing import Annotated

import typer

from lamlam.cli.kb_options import Actor, File, Reason, bytes_read, open_kb, progress

__all__ = ["register"]


def register(kb: typer.Typer) -> None:
    rewordings = Annotated[
        Path | None, typer.Option(help="A table of relation names that mean the same, one meaning a line.")
    ]

    @kb.command()
    def calibrate(
        file: File,
        rate: Annotated[
            float, typer.Option(help="How much of what is missing may be answered all the same, from 0 to 1.")
        ] = 0.03,
        rewordings: rewordings = None,
        matcher: Annotated[Path | None, typer.Option(help="A classifier made by `train`, to use from now on.")] = None,
        entities: Annotated[int, typer.Option(min=1, help="How many entities to try.")] = 4_000,
        seed: Annotated[int, typer.Option(help="Seed for choosing them.")] = 0,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be kept.")] = False,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Find the likeness from which FILE answers reworded relations, using its own facts, and keep it in FILE."""
        from lamlam.cli.kb_tables import print_calibration

        with open_kb(file) as facts, progress("asking questions") as on_progress:
            found = facts.calibrate(
                rate, rewordings=rewordings, matcher=matcher, entities=entities, dry_run=dry_run, seed=seed,
                on_progress=on_progress, actor=actor, reason=reason,
            )  # fmt: skip
        print_calibration(found, kept=not dry_run)

    @kb.command()
    def train(
        sources: Annotated[list[Path], typer.Argument(metavar="FACTS...", help="Fact files, as for import.")],
        out: Annotated[Path, typer.Option(help="Output file for the classifier.")],
        rewordings: rewordings = None,
        seed: Annotated[int, typer.Option(help="Seed for the training questions.")] = 0,
    ) -> None:
        """Train a classifier of relations on facts; `calibrate --matcher` makes a knowledge base use it."""
        from lamlam.kb.files import import_file
        from lamlam.kb.matching.mining import read_rewordings
        from lamlam.kb.matching.training import train_on

        meanings = () if rewordings is None else read_rewordings(rewordings)
        with open_kb(":memory:") as facts, bytes_read("reading facts") as on_progress:
            import_file(facts, sources, on_progress=on_progress)
            pairs = train_on(facts, out, meanings, seed=seed)
        typer.echo(f"{out} was trained on {pairs:,} pairs of names.")
