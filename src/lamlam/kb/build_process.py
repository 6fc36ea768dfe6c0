"""A `Builder` in a process of its own, so that reading facts and storing them take a core each.

Batches go through a pipe. When the process that reads ends, however it ends, the one that builds ends too; what it has
committed is there for the next.
"""

import marshal
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from lamlam.errors import LamLamError

__all__ = ["BuildProcess"]

_MARSHAL = 2  # without references, which cost time
_LENGTH_BYTES = 8
_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16)}  # glibc would keep the room of arrays that are gone
_PROGRAM = "from lamlam.kb.build_process import _serve; _serve()"


class BuildProcess:
    """What a `Builder` does, elsewhere. `rows` facts are stored when it starts."""

    def __init__(self, path: Path, identity: str) -> None:
        folder = str(path.absolute().parent)  # where there is room for a knowledge base
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "SQLITE_TMPDIR": folder} | _MEMORY
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        (self.rows,) = self._ask("open", str(path.absolute()), identity)

    def add(self, batch: tuple) -> None:
        self._tell("add", tuple(batch))

    def finish(self, actor: str, reason: str) -> tuple[int, int]:
        facts, known = self._ask("finish", actor, reason)
        return facts, known

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _tell(self, *message: Any) -> None:
        assert self._process.stdin
        try:
            _send(self._process.stdin, message)
        except BrokenPipeError:
            self._hear()

    def _ask(self, *message: Any) -> tuple:
        self._tell(*message)
        return self._hear()

    def _hear(self) -> tuple:
        assert self._process.stdout
        answer = _receive(self._process.stdout)
        if answer is None:
            raise LamLamError("the process that builds the knowledge base has ended: start the import again to go on")
        if answer[0] == "failed":
            raise LamLamError(answer[1])
        return answer[1:]


def _send(pipe: IO[bytes], message: tuple) -> None:
    data = marshal.dumps(message, _MARSHAL)
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "little"))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> tuple | None:
    """The next message; None at the end, or where it breaks off."""
    head = pipe.read(_LENGTH_BYTES)
    size = int.from_bytes(head, "little")
    data = pipe.read(size) if len(head) == _LENGTH_BYTES else b""
    return marshal.loads(data) if data and len(data) == size else None


def _serve() -> None:
    """What the process that builds does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that reads is told, and ends this one
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        _build(requests, answers)
    except (LamLamError, OSError, MemoryError) as error:
        _send(answers, ("failed", str(error)))


def _build(requests: IO[bytes], answers: IO[bytes]) -> None:
    import sqlite3

    from lamlam.kb.builder import Batch, Builder

    opening = _receive(requests)
    if opening is None:
        return
    try:
        with Builder(Path(opening[1]), opening[2]) as builder:
            _send(answers, ("rows", builder.rows))
            while (message := _receive(requests)) is not None and message[0] == "add":
                builder.add(Batch(*message[1]))
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
