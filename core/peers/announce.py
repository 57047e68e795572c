"""Being found: announcing a device of this machine by multicast DNS."""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from core.peers.adverts import OWN, REHEARSAL
from core.peers.sockets import opened
from core.text import clean_line

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

LABEL = 63
"""Most bytes of one part of a DNS name."""


class Announcement:
    """Says that a device called `name` takes connections on `port` of `addresses`, until closed.

    `interfaces` are the IPv4 addresses of this machine to speak on, None for all. A rehearsal's
    advert (one with that TXT entry) skips the check that nobody has the name, which takes 1.2 s:
    its names are made unique here.
    """

    def __init__(
        self,
        name: str,
        port: int,
        addresses: Sequence[str],
        txt: Mapping[str, str],
        interfaces: list[str] | None = None,
    ) -> None:
        # zeroconf refuses control characters in a name.
        self._name = clean_line(name) or "device"
        self._port = port
        self._addresses = [ipaddress.ip_address(address).packed for address in addresses]
        self._txt = dict(txt)
        self._interfaces = interfaces
        self._zeroconf: AsyncZeroconf | None = None
        self._info: AsyncServiceInfo | None = None

    async def start(self) -> None:
        """Announce; returns once questions are answered. Raises OSError where there is no interface."""
        await asyncio.to_thread(importlib.import_module, "zeroconf.asyncio")
        from zeroconf.asyncio import AsyncServiceInfo

        unique = secrets.token_hex(4)
        rehearsal = REHEARSAL in self._txt
        label = f"{_cut(self._name, LABEL - 9)} {unique}" if rehearsal else _cut(self._name, LABEL)
        host = re.sub(r"[^A-Za-z0-9]+", "-", self._name).strip("-")[: LABEL - 9]
        service = f"{OWN}.local."
        self._zeroconf = opened(self._interfaces)
        self._info = AsyncServiceInfo(
            service,
            f"{label}.{service}",
            port=self._port,
            addresses=self._addresses,
            properties=self._txt,
            server=f"{host or 'device'}-{unique}.local.",
        )
        # What it returns finishes when the repeats of the first announcement are sent: not awaited.
        await self._zeroconf.async_register_service(  # pyright: ignore[reportUnknownMemberType]
            self._info, allow_name_change=not rehearsal, cooperating_responders=rehearsal
        )

    async def close(self) -> None:
        """Say goodbye, so that browsers forget the device at once."""
        if self._zeroconf is not None:
            await self._zeroconf.async_close()
        self._zeroconf = self._info = None


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")
