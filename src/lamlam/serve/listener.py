"""A port and its server.

It listens before the model is opened, so an occupied port is reported at once.
"""

import asyncio
import socket
from contextlib import suppress
from ipaddress import ip_address

import uvicorn
from fastapi import FastAPI

from lamlam.errors import InputError, LamLamError
from lamlam.serve.middleware import is_loopback

__all__ = ["Listener"]

_LAST_SECONDS = 1  # to wait for clients that don't read


class Listener:
    """A listening socket; port 0 picks a free one. Raises `InputError` if the address is unavailable."""

    def __init__(self, host: str, port: int) -> None:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._socket = socket.create_server((address[0], port), family=family, backlog=2048)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"can't listen on {host}, port {port} ({reason}); choose another with --port") from error
        self.host, self.port = self._socket.getsockname()[:2]

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def url(self) -> str:
        """The URL to open on this machine."""
        address = ip_address(self.host)
        if address.is_unspecified:
            address = ip_address("127.0.0.1" if address.version == 4 else "::1")
        return f"http://{f'[{address}]' if address.version == 6 else address}:{self.port}/"

    def run(self, app: FastAPI) -> None:
        """Serve until Ctrl-C or SIGTERM, which end running texts with an error."""
        config = uvicorn.Config(
            app,
            log_level="warning",
            server_header=False,
            proxy_headers=False,  # clients could forge these headers
            timeout_graceful_shutdown=_LAST_SECONDS,
        )
        server = _Server(config)
        with suppress(KeyboardInterrupt):
            server.run([self._socket])
        if server.stopped:
            raise LamLamError("the model has stopped; restart the server")

    def close(self) -> None:
        self._socket.close()


class _Server(uvicorn.Server):
    """Stops the running batch first, or its streams would run to their end. Stops when the batch does."""

    stopped = False

    async def on_tick(self, counter: int) -> bool:
        self.stopped = not self.config.app.state.lamlam.batch.alive  # type: ignore[union-attr]
        return await super().on_tick(counter) or self.stopped

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.to_thread(self.config.app.state.lamlam.batch.close)  # type: ignore[union-attr]
        await super().shutdown(sockets)
