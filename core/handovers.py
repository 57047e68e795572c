"""Measuring, when a person asks, how fast the plan's ranks hand over to each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from core import events as ev
from core.bus import Bus
from core.circumstances import wires
from core.intents import why_not_launch
from core.member import Member
from core.options import Options
from core.plan.plan import Plan
from core.run import laps
from core.text import clean_line, pace, size

SUBJECT = "hand-overs"


class Handovers:
    """On the devices and the backend of the plan, without its model."""

    def __init__(self, bus: Bus, members: Mapping[str, Member], turn: asyncio.Lock, options: Options) -> None:
        """`turn` keeps other measurements away meanwhile."""
        self._bus = bus
        self._members = members
        self._turn = turn
        self._options = options

    async def measure(self) -> None:
        """Publish what is measured, and say it, or why it cannot be."""
        if self._possible() is not None:
            async with self._turn:
                # Until it is its turn much can have changed.
                if (plan := self._possible()) is not None:
                    await self._measure(plan)

    def _possible(self) -> Plan | None:
        """The plan whose ranks can be measured; where there is none, it is said why."""
        plan = self._bus.state.plan
        reason = why_not_launch(self._bus.state) or (laps.why_not(plan, self._options) if plan else None)
        if not reason:
            return plan
        self._say("warning", reason)
        return None

    async def _measure(self, plan: Plan) -> None:
        machines = {post.device: self._members[post.device].machine for post in plan.posts}
        there = {name: machine for name, machine in machines.items() if machine is not None}
        if len(there) < len(machines):
            return  # which is said elsewhere
        try:
            found = await laps.measure(plan, there, wires(self._bus.state), self._options)
        except OSError as error:
            self._say("error", clean_line(str(error)))
            return
        for one in found:
            self._bus.publish(one)
            self._say("info", told(one))

    def _say(self, level: ev.Level, text: str) -> None:
        self._bus.publish(ev.Alert(t=time.time(), level=level, subject=SUBJECT, text=text))


def told(one: ev.HandoverMeasured) -> str:
    """One figure as a person is told it."""
    what = "to the next rank" if one.kind == "lap" else "summed over all ranks"
    figures = f"{one.p50_us:.0f} µs (at most {one.worst_us:.0f}), {pace(one.bytes / one.p50_us * 1e6)}"
    return f"{one.backend} on {', '.join(one.devices)}: {size(one.bytes)} {what} in {figures}"
