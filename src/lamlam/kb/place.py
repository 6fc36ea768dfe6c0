"""Where the file of a knowledge base may be, and handles on its bytes.

SQLite sees another program's changes by locks and by a log beside the file. Where either is out of sight (a network
file system, a file mounted without its folder, a file of several names) an erased fact would still be answered: such
places are refused here. What is in the file is left to `kb.sqlite`.
"""

import os
import re
import threading
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lamlam.errors import InputError

__all__ = ["OPEN_FILES", "Identity", "OpenFiles", "check_place", "identity"]

Identity = tuple[int, int]

_NETWORK = frozenset({"afs", "ceph", "cifs", "coda", "davfs", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"})
# A machine's own for whoever writes there, but perhaps another one's, whose changes come late or never.
_SHARED = frozenset({"9p", "virtiofs", "vboxsf", "prl_fs", "vmhgfs", "fuse"})
_OWN_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.gocryptfs", "fuse.encfs", "fuse.ntfs-3g"})
_ALONE = "LAMLAM_NETWORK_FILES"
_MOUNTS = Path("/proc/self/mountinfo")  # Linux; elsewhere nothing tells what kind a file system is
_ESCAPE = re.compile(r"\\([0-7]{3})")


def identity(path: str | Path) -> Identity | None:
    """What tells the file at a path from one that takes its place; None where there is no file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def check_place(path: Path, *, create: bool) -> bool:
    """Whether a knowledge base at `path` can be written, or be made where it is missing and `create` says so.

    Nothing is opened. Raises `InputError` where there is none to open, where it cannot be made, and where another
    program's changes could go unseen.
    """
    folder, missing = path.absolute().parent, not path.exists()
    if missing and not create:
        raise InputError("no such knowledge base", path=path)
    if not folder.is_dir():
        raise InputError("its folder does not exist", path=path)
    if not missing and not path.is_file():
        raise InputError("is not a file", path=path)
    # SQLite writes a log beside the file, so that its folder counts as well.
    writable = os.access(folder, os.W_OK) and (missing or os.access(path, os.W_OK))
    if missing and not writable:
        raise InputError("cannot be made: its folder is read-only", path=path)
    if not missing and path.stat().st_nlink > 1:
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
    """Where the file system with a file is mounted, and of what kind it is; None where nothing tells."""
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


class OpenFiles:
    """Handles on the bytes of files that SQLite has open in this process, too.

    By POSIX, to close any handle on a file drops all locks that the process holds on it, SQLite's among them. So
    handles are closed with the last connection to their file, and lent again until then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: dict[Identity, int] = {}
        self._idle: dict[tuple[Identity, bool], list[BinaryIO]] = {}

    def enter(self, file: Identity) -> None:
        """Count a connection to the file; before it is opened, where the file is there already."""
        with self._lock:
            self._connections[file] = self._connections.get(file, 0) + 1

    def leave(self, file: Identity) -> None:
        """Count one less; after it was closed."""
        with self._lock:
            self._connections[file] -= 1
            if self._connections[file] == 0:
                del self._connections[file]
                for writable in (True, False):
                    for handle in self._idle.pop((file, writable), ()):
                        handle.close()

    def lend(self, file: Identity, path: Path, writable: bool) -> BinaryIO:
        """A handle, without a buffer, for one thread."""
        with self._lock:
            idle = self._idle.get((file, writable))
            if idle:
                return idle.pop()
        return path.open("r+b" if writable else "rb", buffering=0)

    def take_back(self, file: Identity, writable: bool, handle: BinaryIO) -> None:
        """Keep a handle that was lent; before its connection leaves."""
        with self._lock:
            self._idle.setdefault((file, writable), []).append(handle)


OPEN_FILES = OpenFiles()
"""The process's own: its locks are the process's, too."""
