"""Counts of a knowledge base, which take seconds for millions of facts.

They are cached while current and, if slow, for a while longer, so that counting takes at most a tenth of a thread's
time.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from lamlam.kb import KnowledgeBase

__all__ = ["Counting"]

_LONG_SECONDS = 0.1
_REST = 10.0  # multiple of the counting time
_Counts = TypeVar("_Counts")


@dataclass(frozen=True, slots=True)
class _Kept:
    counts: Any
    revision: int
    until: float


class Counting:
    """A thread-safe cache of counts. One thread counts at a time; others use the cached counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def of(self, kb: KnowledgeBase, kind: str, count: Callable[[KnowledgeBase], _Counts]) -> _Counts:
        """Return `count(kb)`, or a recent result of the same `kind`."""
        kept = self._kept.get(kind)
        if kept is not None and (kept.revision == kb.revision or self._clock() < kept.until):
            return kept.counts
        if not self._lock.acquire(blocking=kept is None):
            assert kept is not None
            return kept.counts
        try:
            revision, begun = kb.revision, self._clock()
            counts = count(kb)
            ended = self._clock()
            rest = (ended - begun) * _REST if ended - begun > _LONG_SECONDS else 0.0
            self._kept[kind] = _Kept(counts, revision, ended + rest)
        finally:
            self._lock.release()
        return counts
