"""The verbs of `lamlam kb` that fit the matching of relations to one's own data."""

from pathlib import Path
from typing import Annotated

import typer

from lamlam.cli.kb_options import Actor, File, Reason, bytes_read, progress

__all__ = ["register"]


def register(kb: typer.Typer) -> None:
    rewordings = Annotated[
        Path | None, typer.Option(help="A table of names of relations that mean the same, a meaning a line.")
    ]

    @kb.command()
    def calibrate(
        file: File,
        rate: Annotated[float, typer.Option(help="The share of what is not there that may be answered.")] = 0.03,
        rewordings: rewordings = None,
        matcher: Annotated[Path | None, typer.Option(help="A classifier of `train`, to be used from now on.")] = None,
        entities: Annotated[int, typer.Option(min=1, help="How many entities to try.")] = 4_000,
        seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be kept.")] = False,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Find, from FILE's own facts, from which likeness on a reworded relation is answered; keep it in FILE."""
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
        sources: Annotated[
            list[Path], typer.Argument(metavar="FACTS...", help="Files of facts, as import reads them.")
        ],
        out: Annotated[Path, typer.Option(help="Where to write the classifier.")],
        rewordings: rewordings = None,
        seed: Annotated[int, typer.Option(help="For the questions that are drawn.")] = 0,
    ) -> None:
        """Train a classifier of relations on facts; `calibrate --matcher` puts it into a knowledge base."""
        from lamlam.kb import KnowledgeBase
        from lamlam.kb.files import import_file
        from lamlam.kb.matching.mining import read_rewordings
        from lamlam.kb.matching.training import train_on

        meanings = () if rewordings is None else read_rewordings(rewordings)
        with KnowledgeBase.open(":memory:") as facts, bytes_read("reading facts") as seen:
            import_file(facts, sources, seen=seen)
            pairs = train_on(facts, out, meanings, seed=seed)
        typer.echo(f"{out} was trained on {pairs:,} pairs of names.")
