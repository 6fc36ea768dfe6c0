"""Files that appear whole or not at all, and what tells one from another."""

import glob
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from lamlam.errors import InputError

__all__ = ["atomic_write", "file_digest", "refuse_stream", "remove_torn"]


@contextmanager
def atomic_write(path: str | Path, mode: Literal["w", "wb"] = "w", *, permissions: int = 0o666) -> Iterator[IO[Any]]:
    """A file opened for writing (UTF-8, newlines as written) that takes the name `path` when the block ends well.

    It is written beside `path`, whose folder is made if need be, forced to disk and renamed; when the block raises,
    it is removed and whatever stood at `path` stays. `permissions` are the file's from the beginning, less the umask.
    Raises `InputError` when the place cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    if target.is_dir():
        raise InputError("cannot be written (a folder stands there)", path=path)
    text = {} if mode == "wb" else {"encoding": "utf-8", "newline": ""}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = open(temporary, mode.replace("w", "x"), opener=_opener(permissions), **text)  # type: ignore[call-overload]  # noqa: SIM115
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


def _opener(permissions: int) -> Callable[[str, int], int]:
    return lambda path, flags: os.open(path, flags, permissions)


def remove_torn(path: str | Path) -> None:
    """Remove what `atomic_write` of `path` left behind where a process was killed; no other may be writing it."""
    target = Path(path)
    for torn in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        torn.unlink(missing_ok=True)


def refuse_stream(path: str | Path) -> None:
    """Raise `InputError` for a pipe or a device, where something is to be read more than once."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise InputError("can be read only once, as a pipe can: write it to a file first", path=path)


def file_digest(path: str | Path) -> str:
    """The SHA-256 of a file's bytes. Raises `InputError` when it cannot be read, or not a second time."""
    refuse_stream(path)
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path) from error
