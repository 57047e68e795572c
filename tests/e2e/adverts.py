"""What is announced on loopback, as any program hears it that knows of no rehearsals."""

from __future__ import annotations

import asyncio

from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from core.peers.adverts import OWN

SERVICE = f"{OWN}.local."


class Adverts:
    """Ports announced on loopback, as any program hears them."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Adverts:
        self._zeroconf = AsyncZeroconf(["127.0.0.1"])
        self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE, handlers=[self._heard])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._browser.async_cancel()
        await asyncio.gather(*self._tasks)
        await self._zeroconf.async_close()

    def _heard(self, zeroconf, service_type, name, state_change) -> None:
        if state_change is ServiceStateChange.Removed:
            self.ports.pop(name, None)
            return
        task = asyncio.create_task(self._resolve(zeroconf, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _resolve(self, zeroconf, name: str) -> None:
        info = AsyncServiceInfo(SERVICE, name)
        if await info.async_request(zeroconf, 3000) and info.port:
            self.ports[name] = info.port
