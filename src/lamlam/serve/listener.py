"""A port, and the server that answers at it.

It listens before the model is opened, so that a port which is taken is told at once.
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

_LAST_SECONDS = 1  # that a client which does not read is waited for


class Listener:
    """A listening socket. Port 0 takes any that is free. Raises `InputError` when the address cannot be had."""

    def __init__(self, host: str, port: int) -> None:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._socket = socket.create_server((address[0], port), family=family, backlog=2048)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"cannot listen at {host}, port {port} ({reason}): --port takes another one") from error
        self.host, self.port = self._socket.getsockname()[:2]

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine can reach it."""
        return is_loopback(self.host)

    @property
    def url(self) -> str:
        """The address to open on this machine."""
        address = ip_address(self.host)
        if address.is_unspecified:
            address = ip_address("127.0.0.1" if address.version == 4 else "::1")
        return f"http://{f'[{address}]' if address.version == 6 else address}:{self.port}/"

    def run(self, app: FastAPI) -> None:
        """Serve until Ctrl-C, or SIGTERM: texts on their way are then ended, and told so."""
        config = uvicorn.Config(
            app,
            log_level="warning",
            server_header=False,
            proxy_headers=False,  # whose address a client has is not for the client to say
            timeout_graceful_shutdown=_LAST_SECONDS,
        )
        server = _Server(config)
        with suppress(KeyboardInterrupt):
            server.run([self._socket])
        if server.stopped:
            raise LamLamError("the model has stopped: start the server again, or let what watches over it do so")

    def close(self) -> None:
        self._socket.close()


class _Server(uvicorn.Server):
    """Ends the running batch first: its streams would go on for as long as their texts. Ends when the batch does."""

    stopped = False

    async def on_tick(self, counter: int) -> bool:
        self.stopped = not self.config.app.state.lamlam.batch.alive  # type: ignore[union-attr]
        return await super().on_tick(counter) or self.stopped

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.to_thread(self.config.app.state.lamlam.batch.close)  # type: ignore[union-attr]
        await super().shutdown(sockets)
