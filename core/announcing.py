"""`exo-tui announce`: this computer says on the network that it is here, and what it is."""

from __future__ import annotations

import asyncio
import ipaddress
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version

import msgspec

from core.peers.announce import Announcement
from core.probe import agent, message, parse
from core.text import size

AGAIN_S = 10.0
"""Between two looks whether this computer has other addresses than before."""


class Here(msgspec.Struct, frozen=True):
    """What is told of this computer."""

    chip: str
    memory: int
    """Bytes in all."""

    @property
    def txt(self) -> dict[str, str]:
        """The TXT record."""
        return {"chip": self.chip, "memory": str(self.memory), "version": version("exo-tui")}

    def __str__(self) -> str:
        return f"{self.chip}, {size(self.memory)}, exo-tui {version('exo-tui')}"


def here() -> Here:
    """As the agent finds it on any device. Raises ValueError on a system we do not know."""
    said = [message.read(msgspec.json.encode(one)) for one in (agent.facts(), agent.sample(0))]
    now = time.time()
    facts = next(parse.facts(one, "", now) for one in said if isinstance(one, message.Facts))
    sample = next(parse.sample(one, "", now) for one in said if isinstance(one, message.Sample))
    return Here(facts.chip, sample.memory_total)


def name() -> str:
    """What this computer is called."""
    return platform.node().removesuffix(".local").partition(".")[0] or "device"


def addresses() -> list[str]:
    """Those of this computer that mean something to others, without the zone of link-local ones."""
    import ifaddr  # comes with zeroconf

    found = [
        ipaddress.ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0])
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]
    return [str(one) for one in dict.fromkeys(found) if not one.is_loopback]


async def takes_logins(port: int) -> bool:
    """Whether anything listens there on this computer."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 2)
    except OSError:
        return False
    writer.close()
    return True


async def announce(called: str, port: int, txt: Mapping[str, str], ready: Callable[[], None]) -> None:
    """Announce until cancelled, then say goodbye; anew whenever this computer has other addresses.

    `ready` is called once that is under way. Raises OSError where there is no network to begin with.
    """
    begun = False
    while True:
        where = await asyncio.to_thread(addresses)
        if where:
            announcement = Announcement(called, port, where, txt)
            try:
                await announcement.start()
                if not begun:
                    begun = True
                    ready()
                await _others_than(where)
            finally:
                await announcement.close()
        elif begun:
            await asyncio.sleep(AGAIN_S)
        else:
            raise OSError("this computer is in no network")


async def _others_than(where: list[str]) -> None:
    """Return when this computer has other addresses than these. Nothing tells: it has to be looked."""
    while True:
        await asyncio.sleep(AGAIN_S)
        if await asyncio.to_thread(addresses) != where:
            return
