"""Listening for peers by multicast DNS.

An advert is a hint: it says where to look, not who is there. zeroconf is imported on `start`,
because it takes longer than a first paint may wait.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.events import AnyEvent
from core.peers.adverts import OWN, Board, advert

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

SERVICES = [f"{OWN}.local.", "_ssh._tcp.local.", "_sftp-ssh._tcp.local."]
RESOLVE_MS = 3000
TRIES = 3
RESOLVING = 512
"""Instances resolved at once. Adverts beyond it are dropped until they change: only a flood gets there."""


class Browser:
    """Publishes PeerSeen and PeerLost while it runs.

    `interfaces` are IPv4 addresses of this machine to listen on, None for all; `scope` as for Board.
    """

    def __init__(
        self,
        publish: Callable[[AnyEvent], None],
        *,
        interfaces: list[str] | None = None,
        scope: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._board = Board(publish, scope=scope, clock=clock)
        self._interfaces = interfaces
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None

    async def start(self) -> None:
        """Open the sockets and ask. Raises OSError where there is no interface or no permission."""
        await asyncio.to_thread(importlib.import_module, "zeroconf.asyncio")
        from zeroconf import InterfaceChoice
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

        try:
            self._zeroconf = AsyncZeroconf(self._interfaces or InterfaceChoice.All)
        except RuntimeError as error:  # how zeroconf says that there is no interface
            raise OSError(str(error)) from error
        self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICES, handlers=[self._changed])

    async def rescan(self) -> None:
        """Listen on interfaces that appeared since, and ask there. zeroconf does not notice by itself."""
        if self._zeroconf is not None:
            await self._zeroconf.async_update_interfaces()

    async def close(self) -> None:
        """Stop listening. Publishes nothing more; peers heard so far are not declared lost."""
        if self._browser is not None:
            await self._browser.async_cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._zeroconf is not None:
            await self._zeroconf.async_close()
        self._zeroconf = self._browser = None

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        resolving = self._tasks.pop(name, None)
        if resolving is not None:
            resolving.cancel()
        if state_change.name == "Removed":
            self._board.remove(name)
        elif len(self._tasks) < RESOLVING:
            task = asyncio.create_task(self._resolve(zeroconf, service_type, name))
            self._tasks[name] = task
            task.add_done_callback(lambda done: self._forget(name, done))

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]

    async def _resolve(self, zeroconf: Zeroconf, service_type: str, name: str) -> None:
        """Ask for host, port, addresses and TXT; on a lossy network more than once."""
        from zeroconf import Error
        from zeroconf.asyncio import AsyncServiceInfo

        try:
            for _ in range(TRIES):
                info = AsyncServiceInfo(service_type, name)
                if await info.async_request(zeroconf, RESOLVE_MS) and info.server and info.port:
                    addresses = info.parsed_scoped_addresses()
                    self._board.put(
                        advert(name, service_type, info.server, info.port, addresses, info.properties)
                    )
                    return
        except Error:
            return  # a malformed advert, or the browser is closing: there is nothing to show
