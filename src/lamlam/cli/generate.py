"""`lamlam generate RUN PROMPT…`: continue prompts with lookups, and show where each fact came from."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamlam.errors import InputError

if TYPE_CHECKING:
    from lamlam.engine import Generation, Lookup

__all__ = ["register"]

_AT_A_TIME = 32  # prompts of a long file that are read before any is answered


def register(app: typer.Typer) -> None:
    @app.command()
    def generate(
        run: Annotated[Path, typer.Argument(help="The run's folder, with its checkpoint.")],
        prompts: Annotated[list[str] | None, typer.Argument(metavar="PROMPT…", help="What to continue.")] = None,
        kb: Annotated[str | None, typer.Option(help="The knowledge base.  [default: RUN/kb.sqlite]")] = None,
        max_tokens: Annotated[int, typer.Option(help="Text tokens to write at most.")] = 64,
        temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.0,
        top_k: Annotated[int | None, typer.Option(help="Sample among the k likeliest tokens.")] = None,
        top_p: Annotated[float | None, typer.Option(help="Sample among the likeliest tokens of this mass.")] = None,
        seed: Annotated[int, typer.Option(help="Of sampling.")] = 0,
        entities: Annotated[str, typer.Option(help="Names a call may ask for: context, known or free.")] = "context",
        relations: Annotated[str, typer.Option(help="Relations a call may ask for: known or free.")] = "free",
        on_miss: Annotated[str, typer.Option(help="On a miss: unknown, drop or nearest.")] = "unknown",
        lookups: Annotated[bool, typer.Option("--lookups/--no-lookups", help="Whether calls may be made.")] = True,
        trace: Annotated[bool, typer.Option("--trace", help="Show each call, its facts and their sources.")] = False,
        jsonl: Annotated[
            str | None,
            typer.Option(metavar="FILE", help='Prompts as JSON Lines {"prompt"}, - for standard input; so the output.'),
        ] = None,
    ) -> None:
        """Continue each prompt; facts are looked up in the knowledge base."""
        if (jsonl is None) == (not prompts):
            raise InputError("give prompts, or --jsonl with a file of them")
        if trace and jsonl is not None:
            raise InputError("--trace is for reading; --jsonl holds it anyway")

        from transformers.utils.logging import disable_progress_bar

        from lamlam.engine import DecodingSettings, Engine
        from lamlam.kb import KnowledgeBase
        from lamlam.model.checkpoint import Checkpoint

        settings = DecodingSettings.checked(
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            entities=entities,
            relations=relations,
            on_miss=on_miss,
            lookups=lookups,
        )
        disable_progress_bar()
        checkpoint = Checkpoint.load(run)
        with KnowledgeBase.open(kb or run / "kb.sqlite") as facts:
            engine = Engine(checkpoint.model, checkpoint.vocabulary, facts)
            for batch in _batches(prompts or () if jsonl is None else _read_prompts(jsonl)):
                for generation in engine.generate(batch, settings):
                    _print(generation, trace=trace, as_json=jsonl is not None)


def _read_prompts(name: str) -> Iterator[str]:
    from lamlam.corpus.lines import parse_entries, read_entries

    entries = parse_entries(typer.get_binary_stream("stdin"), "standard input") if name == "-" else read_entries(name)
    return (entry.text("prompt") for entry in entries)


def _batches(prompts: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(prompts)
    while batch := list(islice(remaining, _AT_A_TIME)):
        yield batch


def _print(generation: "Generation", *, trace: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(generation.as_json(), ensure_ascii=False))
        return
    typer.echo(generation.prompt + generation.text)
    for number, lookup in enumerate(generation.lookups if trace else (), start=1):
        _print_lookup(number, lookup)


def _print_lookup(number: int, lookup: "Lookup") -> None:
    from lamlam.cli.kb_tables import places

    stated = f"characters {lookup.start} to {lookup.end}" if lookup.end > lookup.start else "not stated"
    value = (lookup.value or "dropped") + (" (cut)" if lookup.cut else "")
    typer.echo(f"  {number}. {lookup.entity} | {lookup.relation} -> {value}   {lookup.resolution.status}, {stated}")
    for fact in lookup.resolution.facts:
        typer.echo(f"     fact {fact.id}: {fact.entity} | {fact.relation} | {fact.value}")
        typer.echo(f"     source: {places(fact.sources) or 'none given'}")
