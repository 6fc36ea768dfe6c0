"""`lamlam kb`: read, edit and erase facts; import and export them. How they are shown is left to `kb_tables`."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamlam.errors import InputError, LamLamError

if TYPE_CHECKING:
    from lamlam.kb import KnowledgeBase, Resolution, Source

__all__ = ["register"]

File = Annotated[str, typer.Argument(metavar="FILE", help="The knowledge base: a file, or postgresql://…")]
Actor = Annotated[str, typer.Option(help="Who does it, for the log.")]
Reason = Annotated[str, typer.Option(help="Why, for the log.")]
Format = Annotated[
    str | None, typer.Option(help="jsonl, csv, json (the paper's) or parquet; as the file's ending says by default.")
]
ReadFormat = Annotated[
    str | None,
    typer.Option("--format", help="jsonl, csv, json (the paper's), parquet or nt; as endings say by default."),
]
Allow = Annotated[bool, typer.Option("--allow", help="Let in what was forgotten, too.")]
FactId = Annotated[int, typer.Argument(metavar="ID", help="The fact's id, as lookup shows it.")]
Document = Annotated[str | None, typer.Option("--source", help="The document that states it.")]


_SHOWN = 200  # rows from one showing of the counter to the next: showing costs more than reading a row


def register(app: typer.Typer) -> None:
    kb = typer.Typer(no_args_is_help=True, help="Read, edit and erase facts; import and export them.")
    app.add_typer(kb, name="kb")
    for group in (_register_files, _register_reading, _register_changes, _register_revisions, _register_forget):
        group(kb)


def _register_files(kb: typer.Typer) -> None:
    @kb.command("import")
    def import_(
        file: File,
        sources: Annotated[
            list[Path],
            typer.Argument(metavar="FACTS", help="Files, and folders of files: .jsonl, .csv, .json, .parquet, .nt."),
        ],
        format: ReadFormat = None,
        on_error: Annotated[str, typer.Option(help="What a bad row does: stop (nothing is kept) or skip.")] = "stop",
        map: Annotated[Path | None, typer.Option(help="YAML that says how nested JSON is read.")] = None,
        language: Annotated[str, typer.Option(help="Of texts in several languages, the one to read.")] = "en",
        allow: Allow = False,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Add the facts of files; FILE is made where missing. A bad row is told, and by default nothing is kept."""
        from lamlam.cli.kb_tables import print_import
        from lamlam.kb.files import import_file
        from lamlam.kb.formats import load_mapping

        chosen: dict[str, Any] = {"allow": allow, "on_error": on_error, "mapping": load_mapping(map) if map else None}
        with _made_if_missing(file) as facts, _bytes_read("importing facts") as seen:
            report = import_file(
                facts, sources, format, language=language, actor=actor, reason=reason, seen=seen, **chosen
            )
        print_import(report)

    @kb.command()
    def export(
        file: File,
        out: Annotated[Path, typer.Argument(metavar="OUT", help="Where to write: .jsonl, .csv, .json or .parquet.")],
        format: Format = None,
    ) -> None:
        """Write the facts that hold into a file; .jsonl and .parquet have their sources and aliases too."""
        from lamlam.kb import KnowledgeBase
        from lamlam.kb.files import export_file

        with KnowledgeBase.open(file) as facts, _progress("exporting facts") as seen:
            count = export_file(facts, out, format, seen=seen)
        typer.echo(f"{count:,} facts are in {out}.")

    @kb.command()
    def copy(
        source: Annotated[str, typer.Argument(metavar="SOURCE", help="A knowledge base: a file, or postgresql://…")],
        target: Annotated[str, typer.Argument(metavar="TARGET", help="Where to: made where missing, else empty.")],
    ) -> None:
        """Copy a knowledge base whole, between files and PostgreSQL: ids, history, aliases, tombstones, all."""
        from lamlam.kb.connect import connect
        from lamlam.kb.copy import copy_database

        with (
            closing(connect(source)) as whole,
            _removed_on_failure(target),
            closing(connect(target, create=True)) as empty,
            _progress("copying rows") as seen,
        ):
            count = copy_database(whole, empty, seen=seen)
        typer.echo(f"{count:,} rows were copied.")


def _register_reading(kb: typer.Typer) -> None:
    @kb.command()
    def stats(file: File) -> None:
        """Count what FILE holds."""
        from lamlam.cli.kb_tables import print_stats
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            print_stats(facts.stats(), facts.digest())

    @kb.command()
    def lookup(
        file: File,
        entity: Annotated[str | None, typer.Argument(help="Whose fact.")] = None,
        relation: Annotated[str | None, typer.Argument(help="Which one.")] = None,
        jsonl: Annotated[
            str | None,
            typer.Option(metavar="FILE", help='Queries as JSON Lines {"entity", "relation"}, - for standard input.'),
        ] = None,
        at: Annotated[int | None, typer.Option(help="As it stood after this revision.")] = None,
    ) -> None:
        """Look up a fact, or many with --jsonl: each line comes back with status, values, facts and score."""
        from lamlam.cli.kb_tables import print_resolution
        from lamlam.kb import KnowledgeBase

        if (jsonl is None) == (entity is None or relation is None) or (jsonl is not None and entity is not None):
            raise InputError("give an entity and a relation, or --jsonl with a file of them")
        with KnowledgeBase.open(file) as facts:
            view = facts if at is None else facts.at(at)
            if jsonl is None:
                print_resolution(view.lookup(entity or "", relation or ""))
                return
            for query in _read_queries(jsonl):
                found = view.lookup(query["entity"], query["relation"])
                typer.echo(json.dumps(query | _answer(found), ensure_ascii=False))

    @kb.command()
    def log(file: File) -> None:
        """List all writes, the oldest first."""
        from lamlam.cli.kb_tables import print_log
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            print_log(facts.log())

    @kb.command()
    def verify(file: File) -> None:
        """Check that FILE is sound; exits with 1 where it is not."""
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            problems = facts.verify()
        for problem in problems:
            typer.echo(problem)
        if problems:
            raise typer.Exit(1)
        typer.echo(f"{file} is sound.")


def _register_changes(kb: typer.Typer) -> None:
    @kb.command()
    def add(
        file: File,
        entity: Annotated[str, typer.Argument(help="Whose fact.")],
        relation: Annotated[str, typer.Argument(help="Which one.")],
        value: Annotated[str, typer.Argument(help="Its value.")],
        source: Document = None,
        allow: Allow = False,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Add a fact; FILE is made where it is missing."""
        with _made_if_missing(file) as facts:
            record, origin = (entity, relation, value), _source(source)
            report = facts.add([record], source=origin, allow=allow, actor=actor, reason=reason)
        if report.refused:
            raise LamLamError("this fact is refused: it, or the document that states it, was forgotten")
        typer.echo("The fact is added." if report.added else "The fact was known already.")

    @kb.command()
    def edit(
        file: File,
        fact: FactId,
        value: Annotated[str, typer.Argument(help="The new value.")],
        source: Document = None,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Give a fact another value. The old one stays in the history."""
        from lamlam.cli.kb_tables import print_facts
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            new = facts.edit(fact, value=value, source=_source(source), actor=actor, reason=reason)
            print_facts(facts.history(new.id), "The fact and what it supersedes")

    @kb.command()
    def retract(file: File, fact: FactId, actor: Actor = "", reason: Reason = "") -> None:
        """End a fact. It stays in the history: to erase it, use forget."""
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            ended = facts.retract(fact, actor=actor, reason=reason)
        typer.echo(f"Fact {ended.id} ended with revision {ended.until}.")

    @kb.command()
    def alias(
        file: File,
        name: Annotated[str, typer.Argument(help="Another name.")],
        entity: Annotated[str | None, typer.Option(help="The entity that it names.")] = None,
        relation: Annotated[str | None, typer.Option(help="The relation that it names.")] = None,
        value: Annotated[str | None, typer.Option(help="The value that it is as well.")] = None,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Give an entity, a relation or a value another name."""
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            new = facts.alias(name, entity=entity, relation=relation, value=value, actor=actor, reason=reason)
        typer.echo("The alias is added." if new else "The alias was known already.")

    @kb.command()
    def inverse(
        file: File,
        relation: Annotated[str, typer.Argument(help="A relation.")],
        other: Annotated[str, typer.Argument(help="The one that says the same the other way round.")],
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Declare two relations inverse, so that a fact is forgotten in both directions."""
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            new = facts.inverse(relation, other, actor=actor, reason=reason)
        typer.echo("They are inverse now." if new else "They were known to be inverse.")


def _register_revisions(kb: typer.Typer) -> None:
    @kb.command()
    def undo(
        file: File,
        revision: Annotated[int, typer.Argument(help="Which one, as log shows it.")],
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Revert an edit, a retraction or another change, by a new revision. Forgetting cannot be undone."""
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            changed = facts.undo(revision, actor=actor, reason=reason)
        typer.echo(f"Revision {revision} is undone: {changed:,} facts or names changed.")

    @kb.command()
    def merge(
        file: File,
        entity: Annotated[str, typer.Argument(help="The entity that is no other than")],
        into: Annotated[str, typer.Option(help="this one, which gets its facts and its name.")],
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Make two entities one."""
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            moved = facts.merge(entity, into=into, actor=actor, reason=reason)
        typer.echo(f"{moved:,} facts are those of {into} now.")

    @kb.command()
    def split(
        file: File,
        entity: Annotated[str, typer.Argument(help="The entity that was merged into another.")],
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Take a merger back: the entity gets its own facts again, as they stand now."""
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            moved = facts.split(entity, actor=actor, reason=reason)
        typer.echo(f"{moved:,} facts are those of {entity} again.")


def _register_forget(kb: typer.Typer) -> None:
    @kb.command()
    def forget(
        file: File,
        id: Annotated[int | None, typer.Option(help="One fact.")] = None,
        entity: Annotated[str | None, typer.Option(help="All facts of this entity,")] = None,
        relation: Annotated[str | None, typer.Option(help="in this relation,")] = None,
        value: Annotated[str | None, typer.Option(help="of this value.")] = None,
        source: Annotated[str | None, typer.Option(help="What this document, and no other, states.")] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be erased.")] = False,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
        certificate: Annotated[Path | None, typer.Option(help="Write the certificate here, as JSON.")] = None,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Erase facts for good, from FILE and its history, and search FILE for what is left of them."""
        from lamlam.cli.kb_tables import print_certificate, print_closure
        from lamlam.kb import KnowledgeBase

        described: dict[str, Any] = {"entity": entity, "relation": relation, "value": value, "source": source}
        with KnowledgeBase.open(file) as facts:
            done = facts.forget(id, **described, dry_run=True)
            if dry_run or not yes:
                print_closure(facts, done)
            if not dry_run:
                yes or typer.confirm("Erase this for good?", abort=True, err=True)
                done = facts.forget(id, **described, actor=actor, reason=reason)
        if certificate is not None:
            _write_json(done.as_json(), certificate)
        print_certificate(done)
        if not done.dry_run and not done.clean:
            raise typer.Exit(1)


@contextmanager
def _made_if_missing(file: str) -> Iterator["KnowledgeBase"]:
    """A knowledge base; one that is made for a command which then fails is not left behind."""
    from lamlam.kb import KnowledgeBase

    with _removed_on_failure(file), KnowledgeBase.open(file, create=True) as facts:
        yield facts


@contextmanager
def _removed_on_failure(file: str) -> Iterator[None]:
    from lamlam.kb.connect import is_url

    fresh = not is_url(file) and not Path(file).exists()
    try:
        yield
    except BaseException:
        if fresh:
            Path(file).unlink(missing_ok=True)
        raise


def _source(document: str | None) -> "Source | None":
    from lamlam.kb import Source

    return None if document is None else Source(document)


def _read_queries(name: str) -> Iterator[dict[str, Any]]:
    """Objects with an entity and a relation; what else they hold comes back with them."""
    from lamlam.corpus.lines import parse_entries, read_entries

    entries = parse_entries(typer.get_binary_stream("stdin"), "standard input") if name == "-" else read_entries(name)
    for entry in entries:
        entry.text("entity"), entry.text("relation")
        yield dict(entry.value)


def _answer(found: "Resolution") -> dict[str, Any]:
    answer = {
        "status": str(found.status),
        "values": list(found.values),
        "facts": [asdict(fact) for fact in found.facts],
        "score": found.score,
    }
    return answer | ({"candidates": list(found.candidates)} if found.candidates else {})


def _write_json(value: dict[str, Any], path: Path) -> None:
    from lamlam.files import atomic_write

    with atomic_write(path) as file:
        json.dump(value, file, indent=2)
        file.write("\n")


@contextmanager
def _progress(label: str) -> Iterator[Callable[..., None]]:
    """A counter on standard error, and what makes it count: one, or as many as it is told."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn(label), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        count = 0

        def advance(number: int = 1) -> None:
            nonlocal count
            count += number
            if count // _SHOWN > (count - number) // _SHOWN:
                bar.update(task, completed=count)

        yield advance


@contextmanager
def _bytes_read(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, and what moves it: the bytes that are read, and all there are."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
