"""Files that appear whole or not at all, and what tells one from another."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from lamlam.errors import InputError

__all__ = ["atomic_write", "file_digest"]


@contextmanager
def atomic_write(path: str | Path, mode: Literal["w", "wb"] = "w") -> Iterator[IO[Any]]:
    """A file opened for writing (UTF-8, newlines as written) that takes the name `path` when the block ends well.

    It is written beside `path`, whose folder is made if need be, forced to disk and renamed; when the block raises,
    it is removed and whatever stood at `path` stays. Raises `InputError` when the place cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    if target.is_dir():
        raise InputError("cannot be written (a folder stands there)", path=path)
    text = {} if mode == "wb" else {"encoding": "utf-8", "newline": ""}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = open(temporary, mode.replace("w", "x"), **text)  # type: ignore[call-overload]  # noqa: SIM115
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", path=path) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def file_digest(path: str | Path) -> str:
    """The SHA-256 of a file's bytes. Raises `InputError` when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path) from error
