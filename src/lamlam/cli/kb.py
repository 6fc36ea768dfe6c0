"""`lamlam kb`: read, edit and erase facts; import and export them. How they are shown is left to `kb_tables`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamlam.errors import InputError, LamLamError

if TYPE_CHECKING:
    from lamlam.kb import KnowledgeBase, Resolution, Source

__all__ = ["register"]

File = Annotated[str, typer.Argument(metavar="FILE", help="The knowledge base.")]
Actor = Annotated[str, typer.Option(help="Who does it, for the log.")]
Reason = Annotated[str, typer.Option(help="Why, for the log.")]
Format = Annotated[str | None, typer.Option(help="jsonl, csv or json.  [default: as the file's ending says]")]
FactId = Annotated[int, typer.Argument(metavar="ID", help="The fact's id, as lookup shows it.")]
Document = Annotated[str | None, typer.Option("--source", help="The document that states it.")]


def register(app: typer.Typer) -> None:
    kb = typer.Typer(no_args_is_help=True, help="Read, edit and erase facts; import and export them.")
    app.add_typer(kb, name="kb")
    for group in (_register_files, _register_reading, _register_changes, _register_forget, _register_matching):
        group(kb)


def _register_files(kb: typer.Typer) -> None:
    @kb.command("import")
    def import_(
        file: File,
        source: Annotated[Path, typer.Argument(metavar="FACTS", help="Facts: .jsonl, .csv or the paper's .json.")],
        format: Format = None,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Add the facts of a file; FILE is made where it is missing. A bad row is told, and nothing is imported."""
        from lamlam.cli.kb_tables import print_import
        from lamlam.kb.files import import_file

        with _made_if_missing(file) as facts, _progress("importing facts") as seen:
            report = import_file(facts, source, format, actor=actor, reason=reason, seen=seen)
        print_import(report)

    @kb.command()
    def export(
        file: File,
        out: Annotated[Path, typer.Argument(metavar="OUT", help="Where to write: .jsonl, .csv or the paper's .json.")],
        format: Format = None,
    ) -> None:
        """Write the facts that hold into a file; .jsonl has their sources and aliases too."""
        from lamlam.kb import KnowledgeBase
        from lamlam.kb.files import export_file

        with KnowledgeBase.open(file) as facts, _progress("exporting facts") as seen:
            count = export_file(facts, out, format, seen=seen)
        typer.echo(f"{count:,} facts are in {out}.")


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
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Add a fact; FILE is made where it is missing."""
        with _made_if_missing(file) as facts:
            report = facts.add([(entity, relation, value)], source=_source(source), actor=actor, reason=reason)
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
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Give an entity or a relation another name."""
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            new = facts.alias(name, entity=entity, relation=relation, actor=actor, reason=reason)
        typer.echo("The alias is added." if new else "The alias was known already.")


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
        from lamlam.cli.kb_tables import print_certificate, print_facts
        from lamlam.kb import KnowledgeBase

        described: dict[str, Any] = {"entity": entity, "relation": relation, "value": value, "source": source}
        with KnowledgeBase.open(file) as facts:
            done = facts.forget(id, **described, dry_run=True)
            if dry_run or not yes:
                print_facts([facts.fact(number) for number in done.facts], "To be erased")
            if not dry_run:
                yes or typer.confirm("Erase this for good?", abort=True, err=True)
                done = facts.forget(id, **described, actor=actor, reason=reason)
        if certificate is not None:
            _write_json(done.as_json(), certificate)
        print_certificate(done)
        if not done.dry_run and not done.clean:
            raise typer.Exit(1)


def _register_matching(kb: typer.Typer) -> None:
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

        with KnowledgeBase.open(file) as facts, _progress("asking questions") as seen:
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
        from lamlam.kb.matching.rewordings import read_rewordings
        from lamlam.kb.matching.training import train_on

        meanings = () if rewordings is None else read_rewordings(rewordings)
        with KnowledgeBase.open(":memory:") as facts, _progress("reading facts") as seen:
            for source in sources:
                import_file(facts, source, None, seen=seen)
            pairs = train_on(facts, out, meanings, seed=seed)
        typer.echo(f"{out} was trained on {pairs:,} pairs of names.")


@contextmanager
def _made_if_missing(file: str) -> Iterator["KnowledgeBase"]:
    """A knowledge base; one that is made for a command which then fails is not left behind."""
    from lamlam.kb import KnowledgeBase

    fresh = not Path(file).exists()
    try:
        with KnowledgeBase.open(file, create=True) as facts:
            yield facts
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
def _progress(label: str) -> Iterator[Callable[[], None]]:
    """A counter on standard error, and what makes it count."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn(label), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda: bar.advance(task)
