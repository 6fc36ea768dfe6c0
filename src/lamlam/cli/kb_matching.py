"""The `lamlam kb` commands that adapt relation matching to your data."""

from pathlib import Path
from typing import Annotated

import typer

from lamlam.cli.kb_options import Actor, File, Reason, bytes_read, progress

__all__ = ["register"]


def register(kb: typer.Typer) -> None:
    rewordings = Annotated[Path | None, typer.Option(help="Table of equivalent relation names, one meaning per line.")]

    @kb.command()
    def calibrate(
        file: File,
        rate: Annotated[float, typer.Option(help="Maximum share of absent facts that may be answered.")] = 0.03,
        rewordings: rewordings = None,
        matcher: Annotated[Path | None, typer.Option(help="A classifier from `train` to use from now on.")] = None,
        entities: Annotated[int, typer.Option(min=1, help="Number of entities to try.")] = 4_000,
        seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the result; don't save it.")] = False,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Set FILE's similarity threshold for reworded relations, based on its own facts."""
        from lamlam.cli.kb_tables import print_calibration
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts, progress("asking questions") as seen:
            found = facts.calibrate(
                rate, rewordings=rewordings, matcher=matcher, entities=entities, dry_run=dry_run, seed=seed, seen=seen,
                actor=actor, reason=reason,
            )  # fmt: skip
        print_calibration(found, kept=not dry_run)

    @kb.command()
    def train(
        sources: Annotated[list[Path], typer.Argument(metavar="FACTS...", help="Fact files, as for import.")],
        out: Annotated[Path, typer.Option(help="Output file for the classifier.")],
        rewordings: rewordings = None,
        seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    ) -> None:
        """Train a relation classifier on facts; `calibrate --matcher` installs it in a knowledge base."""
        from lamlam.kb import KnowledgeBase
        from lamlam.kb.files import import_file
        from lamlam.kb.matching.rewordings import read_rewordings
        from lamlam.kb.matching.training import train_on

        meanings = () if rewordings is None else read_rewordings(rewordings)
        with KnowledgeBase.open(":memory:") as facts, bytes_read("reading facts") as seen:
            import_file(facts, sources, seen=seen)
            pairs = train_on(facts, out, meanings, seed=seed)
        typer.echo(f"{out} was trained on {pairs:,} pairs of names.")
