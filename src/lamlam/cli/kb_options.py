"""What the verbs of `lamlam kb` share: their common options, progress on standard error, and files that are made."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lamlam.kb import KnowledgeBase

__all__ = ["Actor", "Allow", "File", "Reason", "bytes_read", "made_if_missing", "progress", "removed_on_failure"]

File = Annotated[str, typer.Argument(metavar="FILE", help="The knowledge base: a file, or postgresql://…")]
Actor = Annotated[str, typer.Option(help="Who does it, for the log.")]
Reason = Annotated[str, typer.Option(help="Why, for the log.")]
Allow = Annotated[bool, typer.Option("--allow", help="Let in what was forgotten, too.")]
_SHOWN = 200  # rows from one showing of the counter to the next


@contextmanager
def made_if_missing(file: str) -> Iterator["KnowledgeBase"]:
    """A knowledge base; one that is made for a command which then fails is not left behind."""
    from lamlam.kb import KnowledgeBase

    with removed_on_failure(file), KnowledgeBase.open(file, create=True) as facts:
        yield facts


@contextmanager
def removed_on_failure(file: str) -> Iterator[None]:
    from lamlam.kb.connect import is_url

    fresh = not is_url(file) and not Path(file).exists()
    try:
        yield
    except BaseException:
        if fresh:
            Path(file).unlink(missing_ok=True)
        raise


@contextmanager
def progress(label: str) -> Iterator[Callable[..., None]]:
    """A counter on standard error, and what makes it count: one, or as many as it is told."""
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
    """A bar on standard error, and what moves it: the bytes that are read, and all there are."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
