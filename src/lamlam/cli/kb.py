"""`lamlam kb`: import, export and copy knowledge bases, and read them.

Changes are left to `kb_changes`, the matching of names to `kb_matching`, and output to `kb_tables`.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamlam.cli import kb_changes, kb_matching
from lamlam.cli.kb_options import Actor, Allow, File, Reason, bytes_read, open_kb, open_to_fill, progress
from lamlam.cli.output import print_json
from lamlam.errors import InputError

if TYPE_CHECKING:
    from lamlam.kb import Resolution

__all__ = ["register"]

Format = Annotated[
    str | None, typer.Option(help="jsonl, csv, json (the paper's) or parquet; by default the file's ending.")
]
ReadFormat = Annotated[
    str | None,
    typer.Option("--format", help="jsonl, csv, json (the paper's), parquet or nt; by default the files' endings."),
]


def register(app: typer.Typer) -> None:
    kb = typer.Typer(no_args_is_help=True, help="Read, edit, forget, import and export facts.")
    app.add_typer(kb, name="kb")
    for group in (_register_files, _register_reading, kb_changes.register, kb_matching.register):
        group(kb)


def _register_files(kb: typer.Typer) -> None:
    @kb.command("import")
    def import_(
        file: File,
        sources: Annotated[
            list[Path],
            typer.Argument(metavar="FACTS", help="Files or folders: .jsonl, .csv, .json, .parquet, .nt."),
        ],
        format: ReadFormat = None,
        on_error: Annotated[
            str, typer.Option(help="What to do on a bad row: stop (and import nothing) or skip it.")
        ] = "stop",
        map: Annotated[Path | None, typer.Option(help="YAML that says how nested JSON is read.")] = None,
        language: Annotated[str, typer.Option(help="Language of the texts to read.")] = "en",
        allow: Allow = False,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Import facts from files; FILE is created if it is missing. By default a bad row stops the import, and nothing
        is kept.

        A large import that was interrupted continues where it was when you run it again.
        """
        from lamlam.cli.kb_tables import print_import
        from lamlam.kb.files import import_file
        from lamlam.kb.formats import load_mapping

        chosen: dict[str, Any] = {"allow": allow, "on_error": on_error, "mapping": load_mapping(map) if map else None}
        with open_to_fill(file) as facts, bytes_read("importing facts") as on_progress:
            report = import_file(
                facts, sources, format, language=language, actor=actor, reason=reason, on_progress=on_progress, **chosen
            )
        print_import(report)

    @kb.command()
    def export(
        file: File,
        out: Annotated[Path, typer.Argument(metavar="OUT", help="Output file: .jsonl, .csv, .json or .parquet.")],
        format: Format = None,
    ) -> None:
        """Write the facts that hold into a file; .jsonl and .parquet have their sources and aliases too."""
        from lamlam.kb.files import export_file

        with open_kb(file) as facts, progress("exporting facts") as on_progress:
            count = export_file(facts, out, format, on_progress=on_progress)
        typer.echo(f"{count:,} facts are in {out}.")

    @kb.command()
    def copy(
        source: Annotated[str, typer.Argument(metavar="SOURCE", help="A knowledge base: a file, or postgresql://…")],
        target: Annotated[
            str,
            typer.Argument(metavar="TARGET", help="Where to copy it: created if missing, otherwise it must be empty."),
        ],
    ) -> None:
        """Copy a whole knowledge base between files and PostgreSQL: ids, history, aliases, tombstones."""
        from lamlam.kb.database import connect, connected_to_fill
        from lamlam.kb.files import copy_database

        with (
            closing(connect(source)) as whole,
            connected_to_fill(target) as empty,
            progress("copying rows") as on_progress,
        ):
            count = copy_database(whole, empty, on_progress=on_progress)
        typer.echo(f"{count:,} rows were copied.")


def _register_reading(kb: typer.Typer) -> None:
    @kb.command()
    def stats(
        file: File,
        digest: Annotated[bool, typer.Option("--digest", help="Read all facts, and show their digest.")] = False,
    ) -> None:
        """Show how much FILE contains."""
        from lamlam.cli.kb_tables import print_stats

        with open_kb(file) as facts:
            print_stats(facts.stats(), facts.digest() if digest else None)

    @kb.command()
    def lookup(
        file: File,
        entity: Annotated[str | None, typer.Argument(help="The entity to look up.")] = None,
        relation: Annotated[str | None, typer.Argument(help="The relation to look up.")] = None,
        jsonl: Annotated[
            str | None,
            typer.Option(metavar="FILE", help='Queries as JSON Lines {"entity", "relation"}; - reads standard input.'),
        ] = None,
        at: Annotated[int | None, typer.Option(help="Look in FILE as it was after this revision.")] = None,
    ) -> None:
        """Look up a fact, or many with --jsonl: each line is returned with status, values, facts and score."""
        from lamlam.cli.kb_tables import print_resolution

        if (jsonl is None) == (entity is None or relation is None) or (jsonl is not None and entity is not None):
            raise InputError("give an entity and a relation, or --jsonl with a file of them")
        with open_kb(file) as facts:
            view = facts if at is None else facts.at(at)
            if jsonl is None:
                print_resolution(view.lookup(entity or "", relation or ""))
                return
            for query in _read_queries(jsonl):
                found = view.lookup(query["entity"], query["relation"])
                print_json(query | _answer(found))

    @kb.command()
    def log(file: File) -> None:
        """List all revisions, oldest first."""
        from lamlam.cli.kb_tables import print_log

        with open_kb(file) as facts:
            print_log(facts.log())

    @kb.command()
    def verify(file: File) -> None:
        """Check that FILE is sound; exit with 1 if it is not."""

        with open_kb(file) as facts:
            problems = facts.verify()
        for problem in problems:
            typer.echo(problem)
        if problems:
            raise typer.Exit(1)
        typer.echo(f"{file} is intact.")


def _read_queries(name: str) -> Iterator[dict[str, Any]]:
    """Yield objects with an entity and a relation; other fields are returned with them."""
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
