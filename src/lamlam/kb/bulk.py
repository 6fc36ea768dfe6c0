"""Import many facts at once into an empty knowledge base.

The facts are stored in a file beside it (`kb.builder`), by a process of its own, so that reading and storing take a
core each; the file replaces the knowledge base when it is whole. An import that was killed continues where it was when
the same import is started again. Facts, aliases and sources become the same as when `kb.writer` writes them.
"""

import marshal
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import IO, Any, TypeGuard

from lamlam.corpus.corpus import FactRecord
from lamlam.errors import InputError, LamLamError
from lamlam.kb.builder import Builder, FactBatch, discard
from lamlam.kb.database import Database
from lamlam.kb.fact import Source
from lamlam.kb.names import canonical, checked
from lamlam.kb.sqlite import SQLiteDatabase
from lamlam.kb.writer import AddReport, checked_span

__all__ = ["BuildProcess", "bulk_import", "can_bulk_import"]

_BATCH = 50_000
_MARSHAL = 2  # without references, which cost time
_LENGTH_BYTES = 8
_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16)}  # glibc would keep the room of arrays that are gone
_PROGRAM = "from lamlam.kb.bulk import _serve; _serve()"


def can_bulk_import(database: Database) -> TypeGuard[SQLiteDatabase]:
    """Whether it is an SQLite file that can be written, and into which nothing was ever written."""
    if not isinstance(database, SQLiteDatabase) or database.path is None or not database.writable:
        return False
    return database.is_blank()


def bulk_import(
    database: SQLiteDatabase,
    records: Iterable[FactRecord],
    *,
    source: Source | None = None,
    identity: str | None = None,
    actor: str = "",
    reason: str = "",
    apart: bool = True,
) -> AddReport:
    """Store facts in a knowledge base for which `can_bulk_import`; `source` is for records without a document.

    `identity` stands for the records and their order: an unfinished import of the same identity is continued. `apart`
    is whether a second process stores them. Raises `InputError` for a bad record, and imports nothing.
    """
    with database.replacement() as path:
        try:
            with closing((BuildProcess if apart else Builder)(path, identity or token_hex(16))) as builder:
                for batch in _batches(islice(records, builder.rows, None), source):
                    builder.add(batch)
                report = AddReport(*builder.finish(actor, reason))
        except BaseException as error:
            if identity is None or isinstance(error, InputError):
                discard(path)
            raise
    return report


def _batches(records: Iterator[FactRecord], source: Source | None) -> Iterator[FactBatch]:
    batch = FactBatch([], [], [], [], [])
    for place, record in enumerate(records):
        place %= _BATCH
        if place == 0 and batch.values:
            yield batch
            batch = FactBatch([], [], [], [], [])
        batch.entities.append(canonical(checked(record.entity, "entity")))
        batch.relations.append(canonical(checked(record.relation, "relation")))
        batch.values.append(checked(record.value, "value"))
        origin = source if record.document is None else Source(record.document, record.start, record.end)
        if origin is not None:
            batch.sources.append((place, checked(origin.document, "document"), *checked_span(origin.start, origin.end)))
        if record.entity_aliases or record.relation_aliases:
            for kind, names in (("entity", record.entity_aliases), ("relation", record.relation_aliases)):
                batch.aliases.extend((place, kind, canonical(checked(name, f"aliases.{kind}"))) for name in names)
    if batch.values:
        yield batch


class BuildProcess:
    """A `Builder` in a process of its own, fed through a pipe. It starts with `rows` facts stored.

    When the process that reads ends, however it ends, the one that builds ends too; what it has committed is there for
    the next.
    """

    def __init__(self, path: Path, identity: str) -> None:
        folder = str(path.absolute().parent)  # where there is room for a knowledge base
        modules = os.pathsep.join(place or os.getcwd() for place in sys.path)  # from where this process has its own
        environment = os.environ | {"PYTHONPATH": modules, "SQLITE_TMPDIR": folder} | _MEMORY
        command = [sys.executable, "-P", "-c", _PROGRAM]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        (self.rows,) = self._ask("open", str(path.absolute()), identity)

    def add(self, batch: tuple) -> None:
        self._put("add", tuple(batch))

    def finish(self, actor: str, reason: str) -> tuple[int, int]:
        facts, known = self._ask("finish", actor, reason)
        return facts, known

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _put(self, *message: Any) -> None:
        assert self._process.stdin
        try:
            _send(self._process.stdin, message)
        except BrokenPipeError:
            self._answer()

    def _ask(self, *message: Any) -> tuple:
        self._put(*message)
        return self._answer()

    def _answer(self) -> tuple:
        assert self._process.stdout
        answer = _receive(self._process.stdout)
        if answer is None:
            raise LamLamError("the process that builds the knowledge base ended: start the import again to continue it")
        if answer[0] == "failed":
            raise LamLamError(answer[1])
        return answer[1:]


def _send(pipe: IO[bytes], message: tuple) -> None:
    data = marshal.dumps(message, _MARSHAL)
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "little"))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> tuple | None:
    """Return the next message; None at the end, or if it breaks off."""
    head = pipe.read(_LENGTH_BYTES)
    size = int.from_bytes(head, "little")
    data = pipe.read(size) if len(head) == _LENGTH_BYTES else b""
    return marshal.loads(data) if data and len(data) == size else None


def _serve() -> None:
    """Run the process that builds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the reading process gets it, and ends this one
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        _build_for(requests, answers)
    except (LamLamError, OSError, MemoryError) as error:
        _send(answers, ("failed", str(error)))


def _build_for(requests: IO[bytes], answers: IO[bytes]) -> None:
    opening = _receive(requests)
    if opening is None:
        return
    try:
        with closing(Builder(Path(opening[1]), opening[2])) as builder:
            _send(answers, ("rows", builder.rows))
            while (message := _receive(requests)) is not None and message[0] == "add":
                builder.add(FactBatch(*message[1]))
            if message is None:
                return
            threading.Thread(target=_end_with, args=(requests,), daemon=True).start()
            report = builder.finish(*message[1:])
    except sqlite3.Error as error:
        raise LamLamError(f"{opening[1]}: {error}") from error
    _send(answers, ("done", *report))


def _end_with(pipe: IO[bytes]) -> None:
    """End this process, in the middle of a statement if need be, when the pipe is closed."""
    if not os.read(pipe.fileno(), 1):
        os._exit(1)
