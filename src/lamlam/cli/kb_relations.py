"""`lamlam kb relations`: find names of relations that are one, and make them aliases once they are decided on."""

from pathlib import Path
from typing import Annotated

import typer

from lamlam.cli.kb_options import Actor, File, Reason, progress

__all__ = ["register"]


def register(kb: typer.Typer) -> None:
    @kb.command()
    def relations(
        file: File,
        decisions: Annotated[Path, typer.Option(help="The file of decisions (JSON Lines), to be written or replayed.")],
        apply: Annotated[
            bool, typer.Option("--apply", help="Make what the file accepts aliases; a file that is there is replayed.")
        ] = False,
        report: Annotated[Path | None, typer.Option(help="A page to review the decisions on, .html or .md.")] = None,
        encoder: Annotated[
            str | None, typer.Option(help="A sentence encoder as further evidence: minilm, or a folder.")
        ] = None,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Propose which names of relations in FILE are one, for people to decide on; --apply makes them aliases.

        What the file of decisions holds already stays as it is, and only other pairs are added.
        """
        from lamlam.kb import KnowledgeBase
        from lamlam.kb.folding.decisions import apply_decisions, merged, read_decisions, write_decisions
        from lamlam.kb.folding.encoder import load_encoder
        from lamlam.kb.folding.proposal import propose
        from lamlam.kb.folding.report import write_folding_report

        decided = read_decisions(decisions) if decisions.exists() else []
        with KnowledgeBase.open(file) as facts:
            if not (apply and decisions.exists()):
                with progress("comparing names") as seen:
                    near = load_encoder(encoder) if encoder else None
                    found = propose(facts.statements, matcher=facts.matcher(), encoder=near, seen=seen)
                decided = merged(decided, found.foldings)
                write_decisions(decided, decisions)
                typer.echo(f"{found.names:,} names were read and {found.compared:,} pairs compared.")
            told = [sum(each.decision == kind for each in decided) for kind in ("accept", "pending", "reject")]
            typer.echo("{:,} pairs are accepted, {:,} pending, {:,} rejected in {}.".format(*told, decisions))
            if report is not None:
                write_folding_report(decided, report)
            if apply:
                done = apply_decisions(facts, decided, actor=actor, reason=reason)
                typer.echo(
                    f"{done.added:,} aliases are added, {done.known:,} were known; "
                    f"{done.absent:,} pairs concern relations that are not here."
                )
