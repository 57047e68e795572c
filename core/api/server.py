"""The API's server, in the event loop of whoever starts it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from core.api.answers import Engine
from core.api.app import Api
from core.api.door import is_loopback

CONNECTIONS = 256
"""At a time. Each may hold a body and a buffer: this bounds what clients can make the server hold."""
BUFFER = 2**16
"""Bytes the system keeps of what a client has not read."""
CLOSE_S = 2
"""What clients have to take the last of their answers."""
HEAD_S = 10.0
"""Within which a connection has to ask for something: one that does not takes the place of another."""


class ServeError(Exception):
    """The server cannot be where it is wanted."""


class TokenNeeded(ServeError):
    """Others than this computer could reach the server, and nothing would keep them out."""


def bind(host: str, port: int, token: str) -> socket.socket:
    """The server's socket, on which nothing is heard yet. Raises ServeError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ServeError(f"no address is called {host!r}: {error}") from None
    family, kind, protocol, _, address = found[0]
    if not token and not is_loopback(str(address[0])):
        raise TokenNeeded(f"{host} can be reached by others: a token has to keep them out")
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)  # connections inherit it
    try:
        made.bind(address)
    except OSError as error:
        made.close()
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror}"
        raise ServeError(f"port {port} on {host} {reason}") from None
    return made


def url(bound: socket.socket) -> str:
    """Where a client finds the server."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


@asynccontextmanager
async def serving(bound: socket.socket, engine: Engine, model: str, token: str) -> AsyncGenerator[None]:
    """Serve on a bound socket as long as the block lasts."""
    api = Api(engine, model, token)
    server = _Server(
        uvicorn.Config(
            api.app,
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            http=_Connection,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=CLOSE_S,
        )
    )
    task = asyncio.create_task(server.serve([bound]))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.01)
        yield
    finally:
        api.end()
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """Leaves the process's signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class _Connection(H11Protocol):
    """Uvicorn's own patience begins with the first answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(HEAD_S, self._look)

    def _look(self) -> None:
        if not self.headers:  # no head of a request has come
            self.transport.close()
