"""Asking the knowledge base: the calls that end in one step are looked up together.

A source in this process answers at once. One that may be slow, on a server, is asked by a thread with a connection of
its own, so that the model reads on in the other sequences meanwhile.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import cast

from lamlam.engine.sequence import DecodingSequence
from lamlam.engine.source import FactSource, as_of
from lamlam.errors import LamLamError
from lamlam.kb.fact import Resolution

__all__ = ["LookupDispatcher"]

Answer = tuple[DecodingSequence, Resolution | LamLamError]


class LookupDispatcher:
    """Questions and answers. `open_source`, where it is given, opens the connection of the thread that asks."""

    def __init__(self, kb: FactSource, open_source: Callable[[], FactSource] | None = None) -> None:
        self._kb = kb
        self._asked: dict[DecodingSequence, None] = {}
        self._answered: list[Answer] = []
        self._futures: list[Future[list[Answer]]] = []
        self._thread = ThreadPoolExecutor(1) if open_source else None
        self._opened = self._thread.submit(open_source) if self._thread and open_source else None

    def ask(self, sequences: Sequence[DecodingSequence]) -> None:
        """Ask for those that have not been asked for yet."""
        new = [sequence for sequence in sequences if sequence not in self._asked]
        if not new:
            return
        self._asked |= dict.fromkeys(new)
        if self._thread is None:
            self._answered += _answers(self._kb, new)
        else:
            opened = cast(Future[FactSource], self._opened)
            self._futures.append(self._thread.submit(_answers_of_opened, opened, new))

    def answers(self, *, wait: bool) -> Iterator[tuple[DecodingSequence, Resolution]]:
        """What has been answered; with `wait` not before something has, if something was asked.

        A sequence whose call the knowledge base could not answer fails, and is left out.
        """
        if wait and self._futures and not self._answered:
            wait_for(self._futures, return_when="FIRST_COMPLETED")
        done = [future for future in self._futures if future.done()]
        self._futures = [future for future in self._futures if future not in done]
        answered, self._answered = [*self._answered, *(each for future in done for each in future.result())], []
        for sequence, resolution in answered:
            if sequence in self._asked:  # it may have been cancelled
                del self._asked[sequence]
                if isinstance(resolution, LamLamError):
                    sequence.fail(resolution)
                else:
                    yield sequence, resolution

    def forget(self, sequence: DecodingSequence) -> None:
        """Throw the answer for a sequence away."""
        self._asked.pop(sequence, None)

    def close(self) -> None:
        """End the thread, and close its connection, where it can be closed."""
        if self._thread is not None and self._opened is not None:
            opened = self._opened
            self._thread.submit(lambda: getattr(opened.result(), "close", lambda: None)())
            self._thread.shutdown()


def _answers_of_opened(opened: Future[FactSource], sequences: Sequence[DecodingSequence]) -> list[Answer]:
    try:
        source = opened.result()
    except LamLamError as error:
        return [(sequence, error) for sequence in sequences]
    return _answers(source, sequences)


def _answers(source: FactSource, sequences: Sequence[DecodingSequence]) -> list[Answer]:
    """Look up the calls of some sequences, those of one revision together.

    Where that fails, each is asked for alone, so that the fault is told to those alone whom it concerns.
    """
    try:
        by_revision: dict[int | None, list[DecodingSequence]] = {}
        for sequence in sequences:
            by_revision.setdefault(sequence.revision, []).append(sequence)
        return [answer for revision, of in by_revision.items() for answer in _found(as_of(source, revision), of)]
    except LamLamError as error:
        if len(sequences) == 1:
            return [(sequences[0], error)]
        return [answer for sequence in sequences for answer in _answers(source, [sequence])]


def _found(source: FactSource, sequences: Sequence[DecodingSequence]) -> list[Answer]:
    """What the source answers; a miss becomes the nearest fact where that is asked for."""
    found = source.lookup_many([sequence.query for sequence in sequences])
    return [
        (each, source.nearest(*each.query) if each.wants_nearest and not resolution.found else resolution)
        for each, resolution in zip(sequences, found, strict=True)
    ]
