"""The links between the devices, measured in turn as long as the cluster is up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from core import bandwidth
from core.bus import Bus
from core.member import Member
from core.probe.links import pairs
from core.reach import Reach
from core.ways import Way, ways

LINKS_S = 5.0
LINKS_BUSY_S = 30.0
"""Probes back off while an answer is being made: they would measure the run, and it them."""
REST = 6
"""Rounds that a path which gave no answer is left alone, unless it is the one SSH takes."""


class Survey:
    """One measurement at a time, whoever asked for it: two at once would measure each other."""

    def __init__(self, members: Mapping[str, Member], bus: Bus) -> None:
        self._members = members
        self._bus = bus
        self.turn = asyncio.Lock()
        """Held while something is measured."""
        self._rests: dict[tuple[str, str, str], int] = {}
        """Paths that are left alone, and for how many rounds."""
        self._asked: set[tuple[str, str]] = set()
        self._reach = Reach(members, bus)

    async def run(self) -> None:
        """Measure every path of every pair of ready members, one after the other, again and again."""
        while True:
            for source, target in self._pairs():
                for way in self._ways(source, target):
                    async with self.turn:
                        await self._probe(source, target, way)
            async with self.turn:
                await self._reach.look(self._pairs())
            await asyncio.sleep(LINKS_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINKS_BUSY_S - LINKS_S):
                    await self._bus.until(lambda state: not state.open)

    async def load(self, device: str = "") -> None:
        """Measure the bandwidth of every path to and from a device, or of all."""
        async with self.turn:
            await bandwidth.survey(self._members, self._bus, device)

    def _pairs(self) -> list[tuple[str, str]]:
        """The pairs of ready members, each asked from the same end for good, whoever joins later."""
        ready = [name for name, member in self._members.items() if member.takes_orders]
        found = [(b, a) if (b, a) in self._asked else (a, b) for a, b in pairs(ready)]
        self._asked.update(found)
        return found

    def _ways(self, source: str, target: str) -> tuple[Way, ...]:
        here, there = self._members[source], self._members[target]
        if here.machine is None or there.machine is None:
            return ()
        return ways(here.wiring, there.wiring, there.machine.seen_from(here.machine))

    async def _probe(self, source: str, target: str, way: Way) -> None:
        key = source, target, way.address
        if self._rests.get(key, 0) > 0:
            self._rests[key] -= 1
        elif await self._members[source].probe(self._members[target], way):
            self._rests.pop(key, None)
        elif way.local:
            self._rests[key] = REST
