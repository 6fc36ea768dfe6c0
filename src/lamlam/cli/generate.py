"""`lamlam generate RUN PROMPT…`: continue prompts with lookups, and show where each fact came from."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamlam.batches import batches
from lamlam.cli.base import BaseOption
from lamlam.cli.output import print_json
from lamlam.errors import InputError

if TYPE_CHECKING:
    from lamlam.engine import Engine, FactSource, Generation, Lookup, RemoteEngine
    from lamlam.model.checkpoint import Checkpoint

__all__ = ["register"]

_AT_A_TIME = 32  # prompts of a long file that are read before any is answered


def register(app: typer.Typer) -> None:
    @app.command()
    def generate(
        run: Annotated[Path, typer.Argument(help="The run's folder, with its checkpoint, or its tokenizer alone.")],
        prompts: Annotated[list[str] | None, typer.Argument(metavar="PROMPT…", help="What to continue.")] = None,
        kb: Annotated[str | None, typer.Option(help="The knowledge base.  [default: RUN/kb.sqlite]")] = None,
        base: BaseOption = None,
        server: Annotated[
            str | None, typer.Option(metavar="URL", help="Let the model of a completions server write, not the run's.")
        ] = None,
        model: Annotated[
            str | None, typer.Option(help="The model's name on the server.  [default: the first listed]")
        ] = None,
        max_tokens: Annotated[int | None, typer.Option(help="Text tokens to write at most.  [default: 64]")] = None,
        temperature: Annotated[
            float | None, typer.Option(help="0 takes the likeliest token.  [default: as the checkpoint says, else 0]")
        ] = None,
        top_k: Annotated[int | None, typer.Option(help="Sample among the k likeliest tokens.")] = None,
        top_p: Annotated[float | None, typer.Option(help="Sample among the likeliest tokens of this mass.")] = None,
        repetition_penalty: Annotated[float | None, typer.Option(help="Above 1 avoids what was said.")] = None,
        stop: Annotated[list[str] | None, typer.Option(help="End before this text; can be repeated.")] = None,
        samples: Annotated[int, typer.Option(help="Continuations of each prompt, with seeds in sequence.")] = 1,
        seed: Annotated[int, typer.Option(help="Of sampling.")] = 0,
        entities: Annotated[
            str | None,
            typer.Option(
                help="Names a call may ask for: context, known or free.  [default: context; free on a server]"
            ),
        ] = None,
        relations: Annotated[str, typer.Option(help="Relations a call may ask for: known or free.")] = "free",
        on_miss: Annotated[str, typer.Option(help="On a miss: unknown, drop or nearest.")] = "unknown",
        lookups: Annotated[bool, typer.Option("--lookups/--no-lookups", help="Whether calls may be made.")] = True,
        revision: Annotated[
            int | None, typer.Option(help="Ask the knowledge base as it stood after this revision.")
        ] = None,
        dtype: Annotated[
            str | None,
            typer.Option(help="float32, bfloat16, or auto: what the processor is fast in.  [default: as saved]"),
        ] = None,
        compile: Annotated[
            bool, typer.Option("--compile", help="Compile the model first: worth its seconds for long work.")
        ] = False,
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
        if base is not None and server is not None:
            raise InputError("--base is for a model that is opened here; --server has its own")
        if model is not None and server is None:
            raise InputError("--model names a model on a server; give --server too")

        from transformers.utils.logging import disable_progress_bar

        from lamlam.engine import DecodingSettings
        from lamlam.kb import KnowledgeBase
        from lamlam.model.checkpoint import Checkpoint

        chosen = {
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "repetition_penalty": repetition_penalty,
            "stop": tuple(stop or ()),
            "samples": samples,
            "seed": seed,
            "entities": entities or ("context" if server is None else "free"),
            "relations": relations,
            "on_miss": on_miss,
            "lookups": lookups,
            "revision": revision,
        }
        given = {field: value for field, value in chosen.items() if value is not None}
        disable_progress_bar()
        open_engine: Callable[[FactSource], AbstractContextManager[Engine | RemoteEngine]]
        if server is None:
            checkpoint = Checkpoint.load(run, base=base)
            settings = DecodingSettings.of(checkpoint.model.generation_config, **given)
            open_engine = _of_the_run(checkpoint, kb, dtype, compile=compile)
        else:
            settings = DecodingSettings.checked(**given)
            open_engine = _of_a_server(run, server, model)
        with KnowledgeBase.open(kb or run / "kb.sqlite") as facts, open_engine(facts) as engine:
            for batch in batches(prompts or () if jsonl is None else _read_prompts(jsonl), _AT_A_TIME):
                for generation in engine.generate(batch, settings):
                    _print(generation, trace=trace, as_json=jsonl is not None)


def _of_the_run(
    checkpoint: "Checkpoint", kb: str | None, dtype: str | None, *, compile: bool
) -> "Callable[[FactSource], AbstractContextManager[Engine]]":
    """An engine; a knowledge base on a server is asked beside the model."""
    import torch

    from lamlam.engine import Engine
    from lamlam.kb import KnowledgeBase
    from lamlam.model.precision import fast_dtype

    known = {None: None, "auto": fast_dtype(), "float32": torch.float32, "bfloat16": torch.bfloat16}
    if dtype not in known:
        raise InputError(f"must be auto, float32 or bfloat16, not '{dtype}'", field="dtype")
    address = kb if kb is not None and "://" in kb else None
    again = None if address is None else lambda: KnowledgeBase.open(address)
    return lambda facts: closing(
        Engine(
            checkpoint.model,
            checkpoint.vocabulary,
            facts,
            dtype=known[dtype],
            compile=compile,
            open_source=again,
        )
    )


def _of_a_server(
    run: Path, url: str, model: str | None
) -> "Callable[[FactSource], AbstractContextManager[RemoteEngine]]":
    from lamlam.engine import RemoteEngine
    from lamlam.model.folder import check_ended
    from lamlam.server import key_of_environment
    from lamlam.vocab import Vocabulary

    check_ended(run)
    vocabulary = Vocabulary.load(run)
    return lambda facts: RemoteEngine(url, vocabulary, facts, model=model, api_key=key_of_environment())


def _read_prompts(name: str) -> Iterator[str]:
    from lamlam.corpus.lines import parse_entries, read_entries

    entries = parse_entries(typer.get_binary_stream("stdin"), "standard input") if name == "-" else read_entries(name)
    return (entry.text("prompt") for entry in entries)


def _print(generation: "Generation", *, trace: bool, as_json: bool) -> None:
    if as_json:
        print_json(generation.as_json())
        return
    typer.echo(generation.prompt + generation.text)
    for number, lookup in enumerate(generation.lookups if trace else (), start=1):
        _print_lookup(number, lookup)


def _print_lookup(number: int, lookup: "Lookup") -> None:
    from lamlam.cli.kb_tables import places

    stated = f"characters {lookup.start} to {lookup.end}" if lookup.end > lookup.start else "not stated"
    value = (lookup.value if lookup.value or lookup.resolution.found else "dropped") + (" (cut)" if lookup.cut else "")
    query = f"{lookup.entity} | {lookup.relation}" + (" (cut)" if lookup.query_cut else "")
    typer.echo(f"  {number}. {query} -> {value}   {lookup.resolution.status}, {stated}")
    for fact in lookup.resolution.facts:
        typer.echo(f"     fact {fact.id}: {fact.entity} | {fact.relation} | {fact.value}")
        typer.echo(f"     source: {places(fact.sources) or 'none given'}")
