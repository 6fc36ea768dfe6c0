"""`lamlam annotate IN --with chat --dry-run`: estimate the requests and cost of a run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lamlam.errors import InputError

if TYPE_CHECKING:
    from lamlam.markup import AnnotatedDocument

__all__ = ["print_estimate"]


def print_estimate(
    documents: Iterable["AnnotatedDocument"],
    model: str | None,
    cache: Path | None,
    settings: Mapping[str, str],
    prices: tuple[float, float] | None,
) -> None:
    """Print the estimate. Sends nothing and creates no cache."""
    from rich.console import Console
    from rich.table import Table

    from lamlam.annotate.chat.estimate import estimate
    from lamlam.annotate.chat.opening import open_client

    if model is None:
        raise InputError("--with chat needs --model, the model's name on the server", field="model")
    told = estimate(documents, open_client(model, None, cache if cache and cache.exists() else None, settings))
    table = Table("", "number", title=f"{told.documents:,} documents for {model}, estimated")
    table.columns[1].justify = "right"
    rows = {"words": told.words, "cached answers": told.known, "requests to send": told.requests}
    rows |= {"tokens in": told.tokens_in, "tokens out": told.tokens_out}
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    if prices is not None:
        table.add_row("price", f"{told.price(*prices):,.2f}")
    Console().print(table)
