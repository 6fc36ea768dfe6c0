"""Items by the batch."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

__all__ = ["batches"]

Item = TypeVar("Item")


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items each, the last of what is left; no more is taken than the batch at hand needs."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
