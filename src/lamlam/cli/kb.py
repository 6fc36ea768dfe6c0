"""`lamlam kb`: import, export and copy knowledge bases, and read them.

`kb_changes` changes facts, `kb_matching` tunes relation matching, `kb_tables` formats output.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamlam.cli import kb_changes, kb_matching, kb_relations
from lamlam.cli.kb_options import Actor, Allow, File, Reason, bytes_read, progress
from lamlam.cli.output import print_json
from lamlam.errors import InputError

if TYPE_CHECKING:
    from lamlam.kb import Resolution

__all__ = ["register"]

Format = Annotated[str | None, typer.Option(help="jsonl, csv, json (the paper's) or parquet.  [default: by extension]")]
ReadFormat = Annotated[
    str | None,
    typer.Option("--format", help="jsonl, csv, json (the paper's), parquet or nt.  [default: by extension]"),
]


def register(app: typer.Typer) -> None:
    kb = typer.Typer(no_args_is_help=True, help="Read, edit, forget, import and export facts.")
    app.add_typer(kb, name="kb")
    for group in (_register_files, _register_reading, kb_changes.register, kb_matching.register, kb_relations.register):
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
        on_error: Annotated[str, typer.Option(help="On a bad row: stop (and import nothing) or skip.")] = "stop",
        map: Annotated[Path | None, typer.Option(help="YAML mapping for nested JSON.")] = None,
        language: Annotated[str, typer.Option(help="Language to read from multilingual N-Triples.")] = "en",
        allow: Allow = False,
        actor: Actor = "",
        reason: Reason = "",
    ) -> None:
        """Import facts into FILE, which is created if missing. By default a bad row stops the import.

        Rerun the command to resume an interrupted large import.
        """
        from lamlam.cli.kb_tables import print_import
        from lamlam.kb import KnowledgeBase
        from lamlam.kb.files import import_file
        from lamlam.kb.formats import load_mapping

        chosen: dict[str, Any] = {"allow": allow, "on_error": on_error, "mapping": load_mapping(map) if map else None}
        with KnowledgeBase.open_to_fill(file) as facts, bytes_read("importing facts") as seen:
            report = import_file(
                facts, sources, format, language=language, actor=actor, reason=reason, seen=seen, **chosen
            )
        print_import(report)

    @kb.command()
    def export(
        file: File,
        out: Annotated[Path, typer.Argument(metavar="OUT", help="Output file: .jsonl, .csv, .json or .parquet.")],
        format: Format = None,
    ) -> None:
        """Export the current facts; .jsonl and .parquet include sources and aliases."""
        from lamlam.kb import KnowledgeBase
        from lamlam.kb.files import export_file

        with KnowledgeBase.open(file) as facts, progress("exporting facts") as seen:
            count = export_file(facts, out, format, seen=seen)
        typer.echo(f"{count:,} facts are in {out}.")

    @kb.command()
    def copy(
        source: Annotated[
            str, typer.Argument(metavar="SOURCE", help="Knowledge base to copy: a file or postgresql://…")
        ],
        target: Annotated[str, typer.Argument(metavar="TARGET", help="Target; created if missing, must be empty.")],
    ) -> None:
        """Copy a whole knowledge base between files and PostgreSQL, with ids, history, aliases and tombstones."""
        from lamlam.kb.connect import connect, connected_to_fill
        from lamlam.kb.copy import copy_database

        with (
            closing(connect(source)) as whole,
            connected_to_fill(target) as empty,
            progress("copying rows") as seen,
        ):
            count = copy_database(whole, empty, seen=seen)
        typer.echo(f"{count:,} rows copied.")


def _register_reading(kb: typer.Typer) -> None:
    @kb.command()
    def stats(
        file: File,
        digest: Annotated[bool, typer.Option("--digest", help="Also read all facts and show their digest.")] = False,
    ) -> None:
        """Show counts and the most frequent relations."""
        from lamlam.cli.kb_tables import print_stats
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            print_stats(facts.stats(), facts.digest() if digest else None)

    @kb.command()
    def lookup(
        file: File,
        entity: Annotated[str | None, typer.Argument(help="The entity.")] = None,
        relation: Annotated[str | None, typer.Argument(help="The relation.")] = None,
        jsonl: Annotated[
            str | None,
            typer.Option(metavar="FILE", help='Read queries from JSON Lines {"entity", "relation"} (- for stdin).'),
        ] = None,
        at: Annotated[int | None, typer.Option(help="Use the state as of this revision.")] = None,
    ) -> None:
        """Look up a fact; with --jsonl, many: adds status, values, facts and score to each line."""
        from lamlam.cli.kb_tables import print_resolution
        from lamlam.kb import KnowledgeBase

        if (jsonl is None) == (entity is None or relation is None) or (jsonl is not None and entity is not None):
            raise InputError("give either ENTITY and RELATION, or --jsonl FILE")
        with KnowledgeBase.open(file) as facts:
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
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            print_log(facts.log())

    @kb.command()
    def verify(file: File) -> None:
        """Check FILE's integrity; exits with 1 if it is damaged."""
        from lamlam.kb import KnowledgeBase

        with KnowledgeBase.open(file) as facts:
            problems = facts.verify()
        for problem in problems:
            typer.echo(problem)
        if problems:
            raise typer.Exit(1)
        typer.echo(f"{file} is intact.")


def _read_queries(name: str) -> Iterator[dict[str, Any]]:
    """Yield the query objects; their other fields are passed through."""
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
