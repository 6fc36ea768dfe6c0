"""Options shared by the `lamlam kb` commands, and progress bars on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

__all__ = ["Actor", "Allow", "File", "Reason", "bytes_read", "progress"]

File = Annotated[str, typer.Argument(metavar="FILE", help="The knowledge base: a file or postgresql://…")]
Actor = Annotated[str, typer.Option(help="Who made the change, for the log.")]
Reason = Annotated[str, typer.Option(help="Why, for the log.")]
Allow = Annotated[bool, typer.Option("--allow", help="Also accept forgotten facts.")]
_SHOWN = 200  # rows between updates


@contextmanager
def progress(label: str) -> Iterator[Callable[..., None]]:
    """Show a counter on standard error; yield the function that advances it."""
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
def bytes_read(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error; yield the function that takes the bytes read and their total."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
