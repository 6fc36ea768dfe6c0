"""A PostgreSQL server of the tests' own: on loopback, in a temporary folder, gone when they end."""

import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

__all__ = ["PostgresServer", "find_binaries"]

USER = "lamlam"
_DEBIAN = Path("/usr/lib/postgresql/15/bin")
# Nothing of it outlives the tests, so that it need not outlive a power failure either.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "16MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "128MB",
    "autovacuum": "off",
}

_WHO_MAY_CONNECT = """
host all locked 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


def find_binaries() -> Path | None:
    """The folder of initdb and pg_ctl; None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    for folder in (_DEBIAN, Path(found).resolve().parent if found else _DEBIAN):
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "postgres")):
            return folder
    return None


class PostgresServer:
    """Started when made. PostgreSQL refuses to run as root, so that root lends it to another user."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder, self.data = binaries, folder, folder / "data"
        self._as_user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
        if self._as_user:
            shutil.chown(folder, "nobody")
        self.port = _free_port()
        self.idle: list[str] = []  # addresses of empty knowledge bases
        self._connection: psycopg.Connection | None = None
        # By default this server sorts as English does, so that a text which is not sorted by its bytes is noticed.
        self._run("initdb", "-D", str(self.data), "-U", USER, "--no-sync", "-E", "UTF8", "--locale=C.UTF-8",
                  "--locale-provider=icu", "--icu-locale=en-US")  # fmt: skip
        (self.data / "pg_hba.conf").write_text(_WHO_MAY_CONNECT)
        settings = {**_SETTINGS, "port": self.port}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self._run("pg_ctl", "-D", str(self.data), "-w", "-s", "-l", str(folder / "log"), "-o", options, "start")

    def execute(self, sql: str) -> None:
        """Run a statement as the superuser."""
        self._superuser().execute(sql.encode())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._superuser().execute(sql.encode()).fetchall()

    def _superuser(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = psycopg.connect(self.url(), autocommit=True)
        return self._connection

    def stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._run("pg_ctl", "-D", str(self.data), "-w", "-s", "-m", "immediate", "stop")

    def url(self, schema: str | None = None, *, user: str = USER, database: str = "postgres") -> str:
        """The address of a schema, by default of none in particular."""
        named = f"?options=-csearch_path%3D{schema}" if schema else ""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}{named}"

    def _run(self, program: str, *arguments: str) -> None:
        command: Sequence[str] = [*self._as_user, str(self._binaries / program), *arguments]
        # Output goes to a file: the server would keep a pipe open, and this wait for its end.
        with (self._folder / "commands").open("ab") as log:
            done = subprocess.run(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60
            )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {(self._folder / 'commands').read_text(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
