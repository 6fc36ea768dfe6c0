"""Answers on disk: what was asked once is not asked again, also by another run or after an interruption.

An answer is found by a digest of the whole request: model, settings, prompt and document. The server's address and the
key are no part of it.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from lamlam.annotate.chat.answer import Answer
from lamlam.errors import InputError

__all__ = ["AnswerCache"]


class AnswerCache:
    """An SQLite file of answers, or with no path one in memory; it can be used by several threads.

    Raises `InputError` when the file cannot be opened or is something else.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self._path, self._lock = path, threading.Lock()
        try:
            if path is not None:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("CREATE TABLE IF NOT EXISTS answers (request TEXT PRIMARY KEY, answer TEXT NOT NULL)")
        except (sqlite3.Error, OSError) as error:
            raise InputError(f"cannot be used as a cache of answers ({error})", path=path) from error

    def __enter__(self) -> "AnswerCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def get(self, request: Mapping[str, Any]) -> Answer | None:
        """The answer to a request, if it was answered before."""
        with self._lock:
            row = self._file.execute("SELECT answer FROM answers WHERE request = ?", (_digest(request),)).fetchone()
        return Answer(**json.loads(row[0])) if row else None

    def put(self, request: Mapping[str, Any], answer: Answer) -> None:
        """Keep an answer. Raises `InputError` when the file cannot be written."""
        row = (_digest(request), json.dumps(asdict(answer)))
        try:
            with self._lock:
                self._file.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", row)
        except sqlite3.Error as error:
            raise InputError(f"an answer cannot be kept ({error})", path=self._path) from error


def _digest(request: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
