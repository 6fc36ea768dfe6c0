"""`lamlam kb relations`: propose equivalent relation names, and apply the decisions as aliases."""

from pathlib import Path
from typing import Annotated

import typer

from lamlam.cli.kb_options import Actor, File, Reason, progress

__all__ = ["register"]


def register(kb: typer.Typer) -> None:
    @kb.command()
    def relations(
        file: File,
        decisions: Annotated[Path, typer.Option(help="The decision file (JSON Lines), written or replayed.")],
        apply: Annotated[
            bool, typer.Option("--apply", help="Turn accepted pairs into aliases; an existing file is replayed.")
        ] = False,
        report: Annotated[Path | None, typer.Option(help="Write a review page, .html or .md.")] = None,
        encoder: Annotated[
            str | None, typer.Option(help="A sentence encoder as extra evidence: minilm or a folder.")
        ] = None,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Propose equivalent relation names in FILE for review; --apply turns accepted pairs into aliases.

        Existing decisions are kept; only new pairs are added.
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
                typer.echo(f"{found.names:,} names read, {found.compared:,} pairs compared.")
            told = [sum(each.decision == kind for each in decided) for kind in ("accept", "pending", "reject")]
            typer.echo("{:,} pairs accepted, {:,} pending, {:,} rejected in {}.".format(*told, decisions))
            if report is not None:
                write_folding_report(decided, report)
            if apply:
                done = apply_decisions(facts, decided, actor=actor, reason=reason)
                typer.echo(
                    f"{done.added:,} aliases added, {done.known:,} already known; "
                    f"{done.absent:,} pairs skipped: no such relations."
                )
