"""Files that appear whole or not at all, and what tells one from another."""

import glob
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

from lamlam.errors import InputError

__all__ = ["atomic_write", "file_digest", "refuse_stream", "remove_torn", "sync_folder", "whole_state"]


_SQLITE = b"SQLite format 3\0"


@contextmanager
def atomic_write(path: str | Path, mode: Literal["w", "wb"] = "w", *, permissions: int = 0o666) -> Iterator[IO[Any]]:
    """A file opened for writing (UTF-8, newlines as written) that takes the name `path` when the block ends well.

    It is written beside `path`, whose folder is made if need be, forced to disk and renamed; when the block raises,
    it is removed and whatever stood at `path` stays. `permissions` are the file's from the beginning, less the umask.
    Raises `InputError` when the place cannot be written, the disk is full, or an SQLite database is there, as which a
    knowledge base is kept: it is never written over.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    if target.is_dir():
        raise InputError("cannot be written (a folder stands there)", path=path)
    if _is_database(target):
        raise InputError("is a database, which is not written over: choose another name", path=path)
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
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        # A fault of the file itself names none; one that the block met elsewhere does.
        if isinstance(error, OSError) and (error.filename is None or error.filename == str(temporary)):
            raise InputError(f"cannot be written ({error.strerror or error})", path=path) from error
        raise


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _opener(permissions: int) -> Callable[[str, int], int]:
    return lambda path, flags: os.open(path, flags, permissions)


def sync_folder(folder: Path) -> None:
    """Force what was made, renamed or removed in a folder to disk, where the system can; Windows opens no folders."""
    with suppress(PermissionError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


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


def whole_state(folder: Path) -> Path | None:
    """Return the newest complete `checkpoint-N` of the Hugging Face Trainer in a folder; torn ones are skipped."""
    states = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    return next((state for state in states if _is_whole(state)), None)


def _is_whole(state: Path) -> bool:
    """Return whether `trainer_state.json`, which is written last, is readable."""
    try:
        json.loads((state / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
