"""`lamlam annotate IN`, or `lamlam annotate documents IN`: insert lookup calls into documents."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamlam.errors import InputError

if TYPE_CHECKING:
    from lamlam.annotate.corpus import CorpusTally
    from lamlam.annotate.shard_work import Progress
    from lamlam.markup import AnnotatedDocument

__all__ = ["register"]

_REFUSED_SHOWN = 5


class EngineChoice(StrEnum):
    """What runs the work."""

    LOCAL = "local"
    RAY = "ray"


def register(app: typer.Typer) -> None:
    @app.command()
    def documents(
        source: Annotated[
            str,
            typer.Argument(
                metavar="IN",
                help="A file (.jsonl, .parquet, .json, .txt, .md), a folder, a quoted glob, or hf:NAME[:SPLIT].",
            ),
        ],
        with_: Annotated[
            str, typer.Option("--with", callback=_known, help="The annotator: align, tagger, chat or causal.")
        ],
        out: Annotated[Path, typer.Option(help="Output file (.jsonl, .jsonl.gz, .parquet) or folder.")],
        facts: Annotated[
            Path | None, typer.Option(help="align: the facts to find; optional if the documents include triples.")
        ] = None,
        model: Annotated[str | None, typer.Option(help="The model's folder, or its name on the server.")] = None,
        server: Annotated[str | None, typer.Option(help="chat: the address of an OpenAI-compatible server.")] = None,
        set: Annotated[list[str] | None, typer.Option(help="An annotator setting, KEY=VALUE; repeatable.")] = None,
        cache: Annotated[
            Path | None, typer.Option(help="chat: the answer cache.  [default: OUT.answers.sqlite]")
        ] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="chat: only estimate requests, tokens and cost.")
        ] = False,
        price_in: Annotated[float | None, typer.Option(min=0, help="Price of a million tokens read.")] = None,
        price_out: Annotated[float | None, typer.Option(min=0, help="Price of a million tokens written.")] = None,
        kb: Annotated[str | None, typer.Option(help="A knowledge base to add the facts to, with their places.")] = None,
        text_column: Annotated[str, typer.Option(help="The field or column that holds the text.")] = "text",
        id_column: Annotated[str, typer.Option(help="The one that holds the id.")] = "id",
        title_column: Annotated[str, typer.Option(help="The one that holds the title.")] = "title",
        workers: Annotated[int, typer.Option(min=1, help="Processes that annotate.")] = 1,
        engine: Annotated[
            EngineChoice, typer.Option(help="local: this machine; ray: the machines of Ray.")
        ] = EngineChoice.LOCAL,
        anew: Annotated[bool, typer.Option("--anew", help="Start over, even if there is finished work.")] = False,
    ) -> None:
        """Annotate documents: insert a lookup call where a text states a fact. An interrupted run is continued."""
        from lamlam.annotate.annotator import AnnotatorOptions, make_annotator
        from lamlam.annotate.corpus import annotate_corpus
        from lamlam.annotate.shards import find_shards
        from lamlam.cli.pairs import pairs
        from lamlam.corpus.rows import Columns

        shards = find_shards(source, Columns(text=text_column, id=id_column, title=title_column))
        cache = _cache(with_, cache, out)
        if dry_run:
            if with_ != "chat":
                raise InputError("only --with chat can be estimated", field="dry-run")
            documents = (document for shard in shards for document in shard.read())
            _print_estimate(documents, model, cache, pairs(set or []), _prices(price_in, price_out))
            return
        if price_in is not None or price_out is not None:
            raise InputError("prices are for --dry-run")
        options = AnnotatorOptions(facts=facts, model=model, server=server, cache=cache, settings=pairs(set or []))
        annotator = make_annotator(with_, options, shards)
        with _progress(sum(shard.bytes for shard in shards)) as progress:
            tally = annotate_corpus(
                shards,
                out,
                annotator,
                workers=workers,
                engine=engine.value,
                knowledge_base=kb,
                anew=anew,
                progress=progress,
            )
        _print(tally, out)
        for id, reason in islice(getattr(annotator, "refused", {}).items(), _REFUSED_SHOWN):
            typer.echo(f"refused: {id}: {reason}", err=True)


def _known(name: str) -> str:
    from lamlam.annotate.annotator import ANNOTATORS

    if name not in ANNOTATORS:
        raise typer.BadParameter(f"unknown annotator '{name}'; choose from {', '.join(ANNOTATORS)}")
    return name


def _prices(price_in: float | None, price_out: float | None) -> tuple[float, float] | None:
    if price_in is None and price_out is None:
        return None
    if price_in is None or price_out is None:
        raise InputError("give both --price-in and --price-out")
    return price_in, price_out


def _cache(name: str, given: Path | None, out: Path) -> Path | None:
    """Return the file of answers: by default beside the output, if the annotator uses one."""
    from lamlam.annotate.annotator import ANNOTATORS

    default = out.with_name(f"{out.name}.answers.sqlite")
    return given or (default if "cache" in ANNOTATORS[name].takes else None)


@contextmanager
def _progress(size: int) -> "Iterator[Progress]":
    """Show a bar on standard error: documents, documents per second, and, by the bytes read, the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from lamlam.annotate.shard_work import Progress

    count = TextColumn("{task.fields[documents]:,} documents, {task.fields[rate]:,.1f} a second")
    times = TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()
    name, console = TextColumn("{task.description}"), Console(stderr=True)
    with Bar(name, BarColumn(), count, *times, console=console, transient=True) as bar:
        task = bar.add_task("annotating", total=size or None, documents=0, rate=0.0)

        def made(documents: int) -> None:
            done = bar.tasks[0].fields["documents"] + documents
            bar.update(task, documents=done, rate=done / max(bar.tasks[0].elapsed or 0.0, 1e-3))

        def stage(name: str) -> None:
            bar.update(task, description=name)

        yield Progress(read=lambda read: bar.advance(task, read), made=made, stage=stage)


def _print(tally: "CorpusTally", out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    counts = tally.counts
    table = Table("", "number", title=f"{counts.documents:,} documents in {out}")
    table.columns[1].justify = "right"
    rows = {"words": counts.words, "calls": counts.calls}
    rows |= {name.replace("_", " "): count for name, count in counts.notes.most_common()}
    if report := tally.knowledge_base:
        rows |= {"facts added to the knowledge base": report.added, "facts already known": report.known}
        rows |= {"facts refused: forgotten": len(report.refused)}
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    Console().print(table)


def _print_estimate(
    documents: Iterable["AnnotatedDocument"],
    model: str | None,
    cache: Path | None,
    settings: Mapping[str, str],
    prices: tuple[float, float] | None,
) -> None:
    """Print the estimate for documents with a chat model; nothing is sent, and no cache is created."""
    from rich.console import Console
    from rich.table import Table

    from lamlam.annotate.chat.annotator import estimate, open_client

    if model is None:
        raise InputError("chat needs --model, the model's name on the server", field="model")
    found = estimate(documents, open_client(model, None, cache if cache and cache.exists() else None, settings))
    table = Table("", "number", title=f"{found.documents:,} documents for {model}, estimated")
    table.columns[1].justify = "right"
    rows = {"words": found.words, "answers in the cache": found.known, "requests to make": found.requests}
    rows |= {"tokens in": found.tokens_in, "tokens out": found.tokens_out}
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    if prices is not None:
        table.add_row("price", f"{found.price(*prices):,.2f}")
    Console().print(table)
