"""`lamlam world`: generate an invented world."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lamlam.corpus import Corpus
    from lamlam.world import WorldSettings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    @app.command()
    def world(
        out: Annotated[Path, typer.Option(help="Output folder.")],
        people: Annotated[int, typer.Option(help="Number of people; cities and the rest scale with it.")] = 3000,
        seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
        size: Annotated[str, typer.Option(help="demo: ten relations with four wordings each; full: all.")] = "full",
    ) -> None:
        """Generate a world: annotated documents, facts, and prompts with known answers."""
        from lamlam.corpus.files import save_corpus
        from lamlam.world import World

        corpus = World(_settings(people=people, seed=seed, size=size)).corpus()
        save_corpus(corpus, out)
        _print_counts(corpus, out)


def _settings(**fields: object) -> "WorldSettings":
    """Return validated settings. Raises `InputError` naming the invalid field."""
    from lamlam.checked import checked
    from lamlam.world import WorldSettings

    return checked(WorldSettings, fields)


def _print_counts(corpus: "Corpus", out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "number", title=f"An invented world in {out}")
    table.columns[1].justify = "right"
    counts = {
        "training documents": len(corpus.train),
        "calls in them": sum(len(document.calls) for document in corpus.train),
        "held out, seen entities": len(corpus.heldout["seen"]),
        "held out, unseen entities": len(corpus.heldout["unseen"]),
        "facts": len(corpus.facts),
        "entities": len({fact.entity for fact in corpus.facts}),
        "relations": len({fact.relation for fact in corpus.facts}),
        "probes": len(corpus.probes),
    }
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    Console().print(table)
