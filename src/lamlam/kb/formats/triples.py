"""The triples of N-Triples with their lines.

The library that knows the grammar is optional: the extra `rdf` brings it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lamlam.errors import InputError, LamLamError

__all__ = ["parse", "rdf_library"]

_BLOCK = 1 << 17


def rdf_library() -> Any:
    """`pyoxigraph`. Raises `LamLamError` where it is not installed."""
    try:
        import pyoxigraph
    except ImportError as error:
        raise LamLamError("N-Triples files need the extra 'rdf': pip install 'lamlam[rdf]'") from error
    return pyoxigraph


def parse(lines: Iterable[bytes], path: Path) -> Iterator[tuple[int, Any] | InputError]:
    """The triples with their lines: by the block, for speed, and by the line where one is not a triple a line."""
    library, rest = rdf_library(), iter(lines)
    form = library.RdfFormat.N_TRIPLES
    first = 1
    while block := _block(rest):
        try:
            triples = list(library.parse(b"".join(block), format=form))
        except SyntaxError:
            triples = []
        if len(triples) == len(block):
            yield from enumerate(triples, first)
        else:
            yield from _by_line(block, first, path)
        first += len(block)


def _by_line(block: list[bytes], first: int, path: Path) -> Iterator[tuple[int, Any] | InputError]:
    library = rdf_library()
    for number, line in enumerate(block, first):
        try:
            for triple in library.parse(line, format=library.RdfFormat.N_TRIPLES):
                yield number, triple
        except SyntaxError as error:
            reason = str(error.msg).splitlines()[0].partition(": ")[2] or "broken"
            yield InputError(f"is no N-Triple ({reason.removesuffix(' (line 1)')})", path=path, line=number)


def _block(lines: Iterator[bytes]) -> list[bytes]:
    block, size = [], 0
    for line in lines:
        block.append(line)
        size += len(line)
        if size >= _BLOCK:
            break
    return block
