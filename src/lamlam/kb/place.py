"""Where the file of a knowledge base may be, and handles on its bytes.

SQLite sees another program's changes by locks and by a log beside the file. Where either is out of sight (a network
file system, a file mounted without its folder, a file with several names) an erased fact would still be answered; such
places are refused here. What is in the file is left to `kb.sqlite`.
"""

import os
import re
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lamlam.errors import InputError

try:
    import fcntl
except ImportError:  # Windows, where nobody can replace or remove what is open
    fcntl = None  # type: ignore[assignment]

__all__ = ["HeldFile", "Identity", "check_place", "identity"]

Identity = tuple[int, int]

_NETWORK = frozenset({"afs", "ceph", "cifs", "coda", "davfs", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"})
# Local to whoever writes there, but perhaps another machine's, whose changes come late or never.
_SHARED = frozenset({"9p", "virtiofs", "vboxsf", "prl_fs", "vmhgfs", "fuse"})
_OWN_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.gocryptfs", "fuse.encfs", "fuse.ntfs-3g"})
_PERMISSIONS = 0o644  # as SQLite makes files
_ALONE = "LAMLAM_NETWORK_FILES"
_MOUNTS = Path("/proc/self/mountinfo")  # Linux; elsewhere the kind of a file system is unknown
_ESCAPE = re.compile(r"\\([0-7]{3})")


def identity(path: str | Path) -> Identity | None:
    """Return what distinguishes the file at a path from one that takes its place; None if there is no file."""
    found = _status(path)
    return None if found is None else (found.st_dev, found.st_ino)


def _status(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def check_place(path: Path, *, create: bool) -> bool:
    """Return whether a knowledge base at `path` can be written; with `create`, it may be missing.

    Nothing is opened. Raises `InputError` if it is missing, if it cannot be made, or if another program's changes could
    go unseen.
    """
    folder, found = path.absolute().parent, _status(path)  # asked once: it may be removed at any moment
    missing = found is None
    if missing and not create:
        raise InputError("no such knowledge base", path=path)
    if not folder.is_dir():
        raise InputError("its folder does not exist", path=path)
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise InputError("is not a file", path=path)
    # SQLite writes a log beside the file, so that its folder counts as well.
    writable = os.access(folder, os.W_OK) and (missing or os.access(path, os.W_OK))
    if missing and not writable:
        raise InputError("cannot be made: its folder is read-only", path=path)
    if found is not None and found.st_nlink > 1:
        raise InputError("has several names (hard links), each with its own log: copy it, and open the copy", path=path)
    _check_mount(path, writable)
    return writable


def _check_mount(path: Path, writable: bool) -> None:
    file = path.resolve()
    mount = _mount_of(file)
    if mount is None:
        return
    if mount.point == str(file):
        raise InputError("is mounted without its folder, where its log is: mount the folder", path=path)
    foreign = mount.kind in _NETWORK or (not writable and _is_shared(mount.kind))
    if foreign and os.environ.get(_ALONE) != "alone":
        raise InputError(
            f"is on a file system of another machine ({mount.kind}), whose changes can go unseen: keep it on a local "
            f"disk or in PostgreSQL, or set {_ALONE}=alone if no other machine ever opens it",
            path=path,
        )


def _is_shared(kind: str) -> bool:
    return kind in _SHARED or (kind.startswith("fuse.") and kind not in _OWN_FUSE)


class _Mount(NamedTuple):
    point: str
    kind: str


def _mount_of(file: Path) -> _Mount | None:
    """Return where the file system of a file is mounted, and its kind; None if that is unknown."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    places = {str(file), *map(str, file.parents)}
    found = None
    for line in lines:
        before, _, after = line.partition(" - ")
        point = _ESCAPE.sub(lambda code: chr(int(code[1], 8)), before.split(" ")[4])
        if point in places and (found is None or len(point) >= len(found.point)):  # of two at one point, the last
            found = _Mount(point, after.split(" ")[0])
    return found


class HeldFile:
    """A handle on the file of a knowledge base. All who have it open share it; whoever takes it alone may replace it.

    A connection to a file that is no longer at its path would use the log of the file that is there now, which SQLite
    finds by its name. So a file is held before SQLite opens it, and nobody replaces or removes what others hold.
    """

    def __init__(self, path: Path, *, writable: bool, create: bool) -> None:
        """Open the file, or make it with `create`. Raises `FileNotFoundError` if it is missing."""
        self._path, self.created = path, False
        if create:
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _PERMISSIONS))
                self.created = True
        self.bytes: BinaryIO = path.open("r+b" if writable else "rb", buffering=0)
        found = os.fstat(self.bytes.fileno())
        self.identity: Identity = (found.st_dev, found.st_ino)
        _HANDLES.enter(self.identity)

    @property
    def in_place(self) -> bool:
        """Whether the file is still at its path."""
        return identity(self._path) == self.identity

    def share(self) -> bool:
        """Hold it with others; return False while somebody has taken it alone."""
        return self._lock("LOCK_SH", without=True)

    def take(self) -> bool:
        """Hold it alone; return False if others hold it, or if there are no such locks: then nobody holds it alone."""
        return self._lock("LOCK_EX", without=False)

    def let_go(self) -> None:
        """Stop holding it, for as long as it isn't used."""
        self._lock("LOCK_UN", without=True)

    def close(self) -> None:
        """Close it, after SQLite has closed the file."""
        self.let_go()
        _HANDLES.leave(self.identity, self.bytes)

    def _lock(self, how: str, *, without: bool) -> bool:
        if fcntl is None:
            return without
        try:
            fcntl.flock(self.bytes, getattr(fcntl, how) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system that knows no such locks
            return without
        return True


class _Handles:
    """Handles that are done with, kept until the process has no connection to their file any more.

    By POSIX, closing any handle on a file drops all locks that the process holds on it, SQLite's among them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: dict[Identity, int] = {}
        self._done: dict[Identity, list[BinaryIO]] = {}

    def enter(self, file: Identity) -> None:
        with self._lock:
            self._connections[file] = self._connections.get(file, 0) + 1

    def leave(self, file: Identity, handle: BinaryIO) -> None:
        with self._lock:
            self._done.setdefault(file, []).append(handle)
            self._connections[file] -= 1
            if self._connections[file] == 0:
                del self._connections[file]
                for done in self._done.pop(file):
                    done.close()


_HANDLES = _Handles()  # the process's, as its locks are
