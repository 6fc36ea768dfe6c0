"""The commands of `lamlam kb` that change facts and names, undo changes, and forget."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamlam.cli.kb_options import Actor, Allow, File, Reason, open_kb, open_to_fill
from lamlam.errors import LamLamError

if TYPE_CHECKING:
    from lamlam.kb import Source

__all__ = ["register"]

FactId = Annotated[int, typer.Argument(metavar="ID", help="The fact's id, as shown by lookup.")]
Document = Annotated[str | None, typer.Option("--source", help="The document that states the fact.")]


def register(kb: typer.Typer) -> None:
    for group in (_register_changes, _register_revisions, _register_forget):
        group(kb)


def _register_changes(kb: typer.Typer) -> None:
    @kb.command()
    def add(
        file: File,
        entity: Annotated[str, typer.Argument(help="The entity that the fact is about.")],
        relation: Annotated[str, typer.Argument(help="The relation, such as Birthplace.")],
        value: Annotated[str, typer.Argument(help="The value.")],
        source: Document = None,
        allow: Allow = False,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Add a fact; FILE is created if it is missing."""

        with open_to_fill(file) as facts:
            record, origin = (entity, relation, value), _source(source)
            report = facts.add([record], source=origin, allow=allow, actor=actor, reason=reason)
        if report.refused:
            raise LamLamError("the fact is refused: it or its source document was forgotten")
        typer.echo("Fact added." if report.added else "The fact is already known.")

    @kb.command()
    def edit(
        file: File,
        fact: FactId,
        value: Annotated[str, typer.Argument(help="The new value.")],
        source: Document = None,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Change a fact's value. The history keeps the old one."""
        from lamlam.cli.kb_tables import print_facts

        with open_kb(file) as facts:
            new = facts.edit(fact, value=value, source=_source(source), actor=actor, reason=reason)
            print_facts(facts.history(new.id), "The fact and what it supersedes")

    @kb.command()
    def retract(file: File, fact: FactId, actor: Actor = "", reason: Reason = "") -> None:
        """End a fact. It stays in the history: to erase it, use forget."""

        with open_kb(file) as facts:
            ended = facts.retract(fact, actor=actor, reason=reason)
        typer.echo(f"Fact {ended.id} ended with revision {ended.until}.")

    @kb.command()
    def alias(
        file: File,
        name: Annotated[str, typer.Argument(help="Another name.")],
        entity: Annotated[str | None, typer.Option(help="The entity that it names.")] = None,
        relation: Annotated[str | None, typer.Option(help="The relation that it names.")] = None,
        value: Annotated[str | None, typer.Option(help="The value that it means as well.")] = None,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Give an entity, a relation or a value another name."""

        with open_kb(file) as facts:
            new = facts.alias(name, entity=entity, relation=relation, value=value, actor=actor, reason=reason)
        typer.echo("Alias added." if new else "The alias is already known.")

    @kb.command()
    def inverse(
        file: File,
        relation: Annotated[str, typer.Argument(help="A relation.")],
        other: Annotated[str, typer.Argument(help="Its inverse, such as Child for Parent.")],
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Declare two relations inverse, so that a fact is forgotten in both directions."""

        with open_kb(file) as facts:
            new = facts.inverse(relation, other, actor=actor, reason=reason)
        typer.echo("The relations are now inverse." if new else "The relations are already inverse.")


def _register_revisions(kb: typer.Typer) -> None:
    @kb.command()
    def undo(
        file: File,
        revision: Annotated[int, typer.Argument(help="The revision's number, as log shows it.")],
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Revert an edit, a retraction or another change, by a new revision. Forgetting cannot be undone."""

        with open_kb(file) as facts:
            changed = facts.undo(revision, actor=actor, reason=reason)
        typer.echo(f"Revision {revision} undone. Facts and names changed: {changed:,}.")

    @kb.command()
    def merge(
        file: File,
        entity: Annotated[str, typer.Argument(help="The entity to merge.")],
        into: Annotated[str, typer.Option(help="The entity that gets its facts and its name.")],
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Merge two entities into one."""

        with open_kb(file) as facts:
            moved = facts.merge(entity, into=into, actor=actor, reason=reason)
        typer.echo(f"Facts moved to {into}: {moved:,}.")

    @kb.command()
    def split(
        file: File,
        entity: Annotated[str, typer.Argument(help="The merged entity.")],
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Undo a merger: the entity gets its own facts back, as they are now."""

        with open_kb(file) as facts:
            moved = facts.split(entity, actor=actor, reason=reason)
        typer.echo(f"Facts moved back to {entity}: {moved:,}.")


def _register_forget(kb: typer.Typer) -> None:
    @kb.command()
    def forget(
        file: File,
        id: Annotated[int | None, typer.Option(help="One fact, by its id.")] = None,
        entity: Annotated[str | None, typer.Option(help="All facts of this entity.")] = None,
        relation: Annotated[str | None, typer.Option(help="Only those in this relation.")] = None,
        value: Annotated[str | None, typer.Option(help="Only those with this value.")] = None,
        source: Annotated[str | None, typer.Option(help="What only this document states.")] = None,
        include: Annotated[
            list[str] | None,
            typer.Option(
                metavar="values|mentions|lookalikes|documents",
                help="With --entity, also erase facts of others that mention it, as --dry-run lists them; repeatable.",
            ),
        ] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be erased.")] = False,
        yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
        certificate: Annotated[Path | None, typer.Option(help="Write the certificate here, as JSON.")] = None,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Erase facts for good, from FILE and its history, and search FILE for anything left of them."""
        from lamlam.cli.kb_tables import print_certificate, print_closure

        described: dict[str, Any] = {"entity": entity, "relation": relation, "value": value, "source": source}
        described["include"] = include or ()
        with open_kb(file) as facts, _written_to(certificate) as written:
            if dry_run or not yes:
                done = facts.forget(id, **described, dry_run=True)
                print_closure(facts, done)
            if not dry_run:
                yes or typer.confirm("Erase this for good?", abort=True, err=True)
                done = facts.forget(id, **described, actor=actor, reason=reason)
            written(done.as_json())
        print_certificate(done)
        if not done.dry_run and not done.clean:
            raise typer.Exit(1)


def _source(document: str | None) -> "Source | None":
    from lamlam.kb import Source

    return None if document is None else Source(document)


@contextmanager
def _written_to(path: Path | None) -> Iterator[Callable[[dict[str, Any]], object]]:
    """Yield what writes a certificate, if there should be one; a path that cannot be written fails before anything is
    erased."""
    from lamlam.files import atomic_write

    if path is None:
        yield lambda value: None
        return
    with atomic_write(path) as file:
        yield lambda value: file.write(json.dumps(value, indent=2) + "\n")
