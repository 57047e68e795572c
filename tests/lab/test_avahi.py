"""What avahi announces in the hosts is seen by zeroconf on the console."""

from __future__ import annotations

import asyncio

from zeroconf import ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from .avahi import Avahi
from .host import Host
from .vlab import Lab

JANE, MINI = "Jane's Mac Studio._ssh._tcp.local.", "mini._exo-tui._tcp.local."


async def test_peers_announced_by_avahi_are_seen(
    lab: Lab, avahi_peers: dict[str, Avahi], console: Host
) -> None:
    seen: asyncio.Queue[str] = asyncio.Queue()

    def changed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Added:
            seen.put_nowait(name)

    async with AsyncZeroconf(interfaces=[console.ip]) as network:
        browser = AsyncServiceBrowser(
            network.zeroconf, ["_ssh._tcp.local.", "_exo-tui._tcp.local."], handlers=[changed]
        )
        async with asyncio.timeout(20):
            assert {await seen.get(), await seen.get()} == {JANE, MINI}
        for name, host, txt in ((JANE, "h1", b""), (MINI, "h2", b"1")):
            info = AsyncServiceInfo(name.partition(".")[2], name)
            assert await info.async_request(network.zeroconf, 5000)
            assert lab[host].ip in info.parsed_addresses() and info.port == 22
            assert info.server == f"{host}.local."
            assert (info.properties.get(b"v") or b"") == txt
        await browser.async_cancel()
