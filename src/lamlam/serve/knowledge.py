"""Knowledge-base access for the routes: several reading threads and one writing thread, each with its own connection.

The model's connection belongs to the running batch.
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
    """Runs reads and writes on a knowledge base. Raises like `KnowledgeBase.open`.

    A lost connection, as when PostgreSQL restarts, is reopened by the next request.
    """

    def __init__(self, address: str | Path) -> None:
        KnowledgeBase.open(address).close()  # fail early
        self._readers = _Threads("lamlam-read", _READERS, address)
        self._writer = _Threads("lamlam-write", 1, address, idle=_finish_erasing)
        self._watcher = _Threads("lamlam-watch", 1, address)
        self._counting = Counting()
        self._writer.submit(lambda kb: kb.expect_writes()).result()

    async def read(self, ask: _Ask[_Answer]) -> _Answer:
        """Return what `ask` returns. It must neither write nor return anything that still reads."""
        return await self._readers.run(ask)

    async def count(self, kind: str, count: _Ask[_Answer]) -> _Answer:
        """Like `read`, cached by `kind`: see `serve.counting`."""
        return await self.read(lambda kb: self._counting.of(kb, kind, count))

    async def write(self, change: _Ask[_Answer]) -> _Answer:
        """Return what `change` returns, once written. Once started, it completes even if nobody waits for it."""
        return await self._writer.run(change)

    async def watch(self) -> int:
        """Return the revision over a dedicated connection, so that load doesn't look like a failure."""
        return await self._watcher.run(lambda kb: kb.revision)

    def close(self) -> None:
        """Finish running jobs and close each connection in its thread."""
        for threads in (self._readers, self._writer, self._watcher):
            threads.close()


def _finish_erasing(kb: KnowledgeBase) -> None:
    """Finish an erasure that a concurrent reader interrupted; the file may not be reopened for weeks."""
    try:
        kb.finish_erasing()
    except LamLamError as error:
        _LOG.warning("an erasure is not finished yet: %s", error)


class _Threads:
    """Threads sharing a queue; each opens the knowledge base on first use and closes it at the end.

    `idle` runs after a pause without jobs.
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
            except BaseException as error:  # noqa: BLE001 - passed on to the caller
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
        """Return the connection, reopened if lost."""
        if kb is not None and kb.answers():
            return kb
        return KnowledgeBase.open(self._address)
