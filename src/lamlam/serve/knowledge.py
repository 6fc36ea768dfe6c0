"""The knowledge base behind the routes: each connection is used by one thread; several read, and one writes.

The model's own connection is the running batch's.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lamlam.kb import KnowledgeBase

__all__ = ["Knowledge"]

_READERS = 4
_Answer = TypeVar("_Answer")


class Knowledge:
    """Runs what is to be asked of the knowledge base at an address, or done to it.

    Raises what `KnowledgeBase.open` does.
    """

    def __init__(self, address: str | Path) -> None:
        self._address = address
        KnowledgeBase.open(address).close()  # a fault shows at the start
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="lamlam-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="lamlam-write")
        self._opened = threading.local()
        self._all: list[KnowledgeBase] = []

    async def read(self, ask: Callable[[KnowledgeBase], _Answer]) -> _Answer:
        """What `ask` returns; it must not write, nor return what still reads."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: ask(self._connection()))

    async def write(self, change: Callable[[KnowledgeBase], _Answer]) -> _Answer:
        """What `change` returns, once it is written. It is carried out to its end even where nobody waits any more."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, lambda: change(self._connection()))

    def close(self) -> None:
        """Let what is being done end."""
        self._readers.shutdown()
        self._writer.shutdown()

    def _connection(self) -> KnowledgeBase:
        """This thread's own, which is closed with it."""
        if not hasattr(self._opened, "kb"):
            self._opened.kb = KnowledgeBase.open(self._address)
        kb: KnowledgeBase = self._opened.kb
        return kb
