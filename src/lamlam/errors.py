"""The errors that LamLam raises for faults it can foresee.

Everything derives from `LamLamError`; the command line prints its message as one sentence and exits with 2.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["InputError", "LamLamError", "StoreError", "needs_extra"]


class LamLamError(Exception):
    """A foreseeable fault, told in one sentence."""


class InputError(LamLamError):
    """Bad input: names the file, the line (from 1) and the field where they are known."""

    def __init__(
        self, reason: str, *, path: str | Path | None = None, line: int | None = None, field: str | None = None
    ) -> None:
        where = ":".join(str(part) for part in (path, line) if part is not None)
        parts = [part for part in (where, f"field '{field}'" if field else "", reason) if part]
        super().__init__(": ".join(parts))
        self.reason, self.path, self.line, self.field = reason, path, line, field


class StoreError(LamLamError):
    """A store of data that cannot be used now. `name` is the file or the server, which not everyone is to be told."""

    def __init__(self, name: object, reason: str) -> None:
        super().__init__(f"{name} {reason}")
        self.name, self.reason = name, reason


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Around imports: raise `LamLamError` with the extra that brings a library which isn't installed."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "lamlam":
            raise
        raise LamLamError(f"{what} needs the extra '{extra}': pip install 'lamlam[{extra}]'") from error
