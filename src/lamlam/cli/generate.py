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

_AT_A_TIME = 32  # prompts read from a file per batch


def register(app: typer.Typer) -> None:
    @app.command()
    def generate(
        run: Annotated[Path, typer.Argument(help="The run's folder; with --server its tokenizer is enough.")],
        prompts: Annotated[list[str] | None, typer.Argument(metavar="PROMPT…", help="Text to continue.")] = None,
        kb: Annotated[str | None, typer.Option(help="The knowledge base.  [default: RUN/kb.sqlite]")] = None,
        base: BaseOption = None,
        server: Annotated[
            str | None, typer.Option(metavar="URL", help="Use the model of a completions server instead of the run's.")
        ] = None,
        model: Annotated[
            str | None, typer.Option(help="The model's name on the server.  [default: the first listed]")
        ] = None,
        max_tokens: Annotated[int | None, typer.Option(help="Maximum text tokens.  [default: 64]")] = None,
        temperature: Annotated[
            float | None, typer.Option(help="0 for greedy decoding.  [default: the checkpoint's, else 0]")
        ] = None,
        top_k: Annotated[int | None, typer.Option(help="Sample from the k likeliest tokens.")] = None,
        top_p: Annotated[
            float | None, typer.Option(help="Sample from the likeliest tokens with this total probability.")
        ] = None,
        repetition_penalty: Annotated[float | None, typer.Option(help="Above 1 discourages repetition.")] = None,
        stop: Annotated[list[str] | None, typer.Option(help="Stop before this text; repeatable.")] = None,
        samples: Annotated[int, typer.Option(help="Continuations per prompt, with consecutive seeds.")] = 1,
        seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
        entities: Annotated[
            str | None,
            typer.Option(
                help="Entities that a call may name: context, known or free.  [default: context; free with --server]"
            ),
        ] = None,
        relations: Annotated[str, typer.Option(help="Relations that a call may name: known or free.")] = "free",
        on_miss: Annotated[str, typer.Option(help="What a miss returns: unknown, drop or nearest.")] = "unknown",
        lookups: Annotated[bool, typer.Option("--lookups/--no-lookups", help="Allow or forbid calls.")] = True,
        revision: Annotated[int | None, typer.Option(help="Use the knowledge base as of this revision.")] = None,
        dtype: Annotated[
            str | None,
            typer.Option(help="float32, bfloat16, or auto (the faster on this processor).  [default: as saved]"),
        ] = None,
        compile: Annotated[
            bool, typer.Option("--compile", help="Compile the model first; pays off for long runs.")
        ] = False,
        trace: Annotated[bool, typer.Option("--trace", help="Show each call, its facts and their sources.")] = False,
        jsonl: Annotated[
            str | None,
            typer.Option(
                metavar="FILE", help='Read prompts from JSON Lines {"prompt"} (- for stdin); write JSON Lines.'
            ),
        ] = None,
    ) -> None:
        """Continue each prompt, looking facts up in the knowledge base."""
        if (jsonl is None) == (not prompts):
            raise InputError("give either prompts or --jsonl FILE")
        if trace and jsonl is not None:
            raise InputError("--jsonl already includes the trace; drop --trace")
        if base is not None and server is not None:
            raise InputError("--base can't be combined with --server")
        if model is not None and server is None:
            raise InputError("--model needs --server")

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
    """Return a factory for a local engine; a knowledge base on a server gets a connection of its own."""
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
        typer.echo(f"     source: {places(fact.sources) or 'none'}")
