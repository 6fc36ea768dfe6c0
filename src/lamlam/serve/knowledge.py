"""The knowledge base behind the routes: some threads that read and one that writes, each with its own connection.

The model's own connection is the running batch's.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from lamlam.errors import LamLamError
from lamlam.kb import KnowledgeBase
from lamlam.serve.counting import Counting

__all__ = ["Knowledge"]

_READERS = 4
_IDLE_SECONDS = 2.0
_LOG = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
_Ask = Callable[[KnowledgeBase], _Answer]


class Knowledge:
    """Runs what is to be asked of the knowledge base at an address, or done to it. Raises as `KnowledgeBase.open` does.

    A connection that was lost, as when a server of PostgreSQL is started again, is opened anew by whoever asks next.
    """

    def __init__(self, address: str | Path) -> None:
        KnowledgeBase.open(address).close()  # a fault shows at the start
        self._readers = _Threads("lamlam-read", _READERS, address)
        self._writer = _Threads("lamlam-write", 1, address, idle=_finish_erasing)
        self._watcher = _Threads("lamlam-watch", 1, address)
        self._counting = Counting()
        self._writer.submit(lambda kb: kb.expect_writes()).result()

    async def read(self, ask: _Ask[_Answer]) -> _Answer:
        """What `ask` returns; it must not write, nor return what still reads."""
        return await self._readers.run(ask)

    async def count(self, kind: str, count: _Ask[_Answer]) -> _Answer:
        """`read` for what counts all there is: see `serve.counting`. `kind` tells one count from another."""
        return await self.read(lambda kb: self._counting.of(kb, kind, count))

    async def write(self, change: _Ask[_Answer]) -> _Answer:
        """What `change` returns, once it is written. Begun, it is carried out even where nobody waits any more."""
        return await self._writer.run(change)

    async def watch(self) -> int:
        """The revision, asked beside all other questions, so that many of them do not look like a fault."""
        return await self._watcher.run(lambda kb: kb.revision)

    def close(self) -> None:
        """Let what is being done end, and close each connection in its thread."""
        for threads in (self._readers, self._writer, self._watcher):
            threads.close()


def _finish_erasing(kb: KnowledgeBase) -> None:
    """Make up for an erasure that somebody's reading cut short: no opening of the file may come for weeks."""
    try:
        kb.finish_erasing()
    except LamLamError as error:
        _LOG.warning("an erasure is not finished yet: %s", error)


class _Threads:
    """Threads that share a queue; each opens the knowledge base when it is first asked, and closes it at its end.

    What is to be done when nothing was asked for a while is `idle`.
    """

    def __init__(
        self, name: str, number: int, address: str | Path, idle: Callable[[KnowledgeBase], None] | None = None
    ) -> None:
        self._address, self._idle = address, idle
        self._jobs: SimpleQueue[tuple[Future[Any], _Ask[Any]] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{each}") for each in range(number)]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def submit(self, ask: _Ask[_Answer]) -> Future[_Answer]:
        future: Future[_Answer] = Future()
        self._jobs.put((future, ask))
        return future

    async def run(self, ask: _Ask[_Answer]) -> _Answer:
        return await asyncio.wrap_future(self.submit(ask))

    def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        opened: KnowledgeBase | None = None
        while (job := self._next(opened)) is not None:
            future, ask = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                opened = self._sound(opened)
                future.set_result(ask(opened))
            except BaseException as error:  # noqa: BLE001 - whoever waits is told
                future.set_exception(error)
            del future, ask, job
        if opened is not None:
            opened.close()

    def _next(self, kb: KnowledgeBase | None) -> tuple[Future[Any], _Ask[Any]] | None:
        while True:
            try:
                return self._jobs.get(timeout=_IDLE_SECONDS if self._idle else None)
            except Empty:
                if self._idle is not None and kb is not None:
                    self._idle(kb)

    def _sound(self, kb: KnowledgeBase | None) -> KnowledgeBase:
        """The connection, or a new one where there is none or it was lost."""
        if kb is not None and kb.answers():
            return kb
        return KnowledgeBase.open(self._address)
