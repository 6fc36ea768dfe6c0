"""What the commands of `lamlam kb` share: common options, and progress on standard error."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lamlam.kb import KnowledgeBase

__all__ = ["Actor", "Allow", "File", "Reason", "bytes_read", "open_kb", "open_to_fill", "progress"]

File = Annotated[str, typer.Argument(metavar="FILE", help="The knowledge base: a file, or postgresql://…")]
Actor = Annotated[str, typer.Option(help="Your name, for the log.")]
Reason = Annotated[str, typer.Option(help="The reason, for the log.")]
Allow = Annotated[bool, typer.Option("--allow", help="Also add facts that were forgotten.")]
_SHOWN = 200  # rows from one showing of the counter to the next


def open_kb(file: str) -> "KnowledgeBase":
    """Open a knowledge base; imported only here, so that `--help` is quick."""
    from lamlam.kb import KnowledgeBase

    return KnowledgeBase.open(file)


def open_to_fill(file: str) -> "AbstractContextManager[KnowledgeBase]":
    """Open a knowledge base to add facts, or create it."""
    from lamlam.kb import KnowledgeBase

    return KnowledgeBase.open_to_fill(file)


@contextmanager
def progress(label: str) -> Iterator[Callable[..., None]]:
    """Show a counter on standard error; yield a function that advances it by one, or by a number."""
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
    """Show a bar on standard error; yield a function that moves it, given the bytes read and all bytes."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
