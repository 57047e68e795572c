"""The links between the devices, measured in turn as long as the cluster is up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from core.bus import Bus
from core.member import Member
from core.probe.links import pairs

LINKS_S = 5.0
LINKS_BUSY_S = 30.0
"""Probes back off while an answer is being made: they would measure the run, and it them."""


async def survey(members: Mapping[str, Member], bus: Bus) -> None:
    """Measure every pair of ready members, one after the other, again and again."""
    while True:
        ready = [name for name, member in members.items() if member.ports]
        for source, target in pairs(ready):
            await members[source].probe(members[target])
        await asyncio.sleep(LINKS_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINKS_BUSY_S - LINKS_S):
                await bus.until(lambda state: not state.open)
