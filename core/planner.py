"""Keeps the plan fit for the cluster: plans when what matters has changed, away from the event loop."""

from __future__ import annotations

import asyncio
import math
import time

from core import events as ev
from core.bus import Bus
from core.models.spec import ModelSpec
from core.plan.plan import Host, PlanError, Tuning, Wire
from core.state import ClusterState
from core.wish import Wish

FLOOR_US = 2_000.0
"""Round trips below this differ by less than a hand-over costs anyway."""


def hosts(state: ClusterState, tunings: dict[str, Tuning] | None = None) -> list[Host]:
    """The devices a plan may use now, by name."""
    tuned = tunings or {}
    return [
        Host(
            device.id,
            device.sample.memory_limit,
            device.sample.memory_used,
            chip=device.facts.chip if device.facts else "",
            cores=device.facts.cores if device.facts else 0,
            tuning=tuned.get(device.id),
        )
        for device in sorted(state.devices.values(), key=lambda device: device.id)
        if device.status == "ready" and device.sample is not None
    ]


def wires(state: ClusterState) -> list[Wire]:
    """The links whose last burst was answered."""
    return [
        Wire(a=link.source, b=link.target, kind=link.last.kind, rtt_us=link.last.p50_us)
        for link in state.links.values()
        if link.last is not None and not link.failure
    ]


def circumstances(state: ClusterState) -> frozenset[object]:
    """What a plan depends on, coarsely: it changes only when another plan may come of it. A link counts by
    how many times four its round trip exceeds the floor."""
    devices = {
        (device.id, device.sample.memory_limit)
        for device in state.devices.values()
        if device.status == "ready" and device.sample is not None
    }
    names = {name for name, _ in devices}
    links = {
        (wire.a, wire.b, math.ceil(math.log(max(1.0, (wire.rtt_us or 0) / FLOOR_US), 4)))
        for wire in wires(state)
        if wire.a in names and wire.b in names
    }
    return frozenset(devices | links)


class Planner:
    """Listens to the bus and publishes plans. Call `consider` for every event, inside a running loop."""

    def __init__(self, bus: Bus, spec: ModelSpec, wish: Wish) -> None:
        self._bus = bus
        self._spec = spec
        self._wish = wish
        self._planned_for: frozenset[object] = frozenset()
        self._task: asyncio.Task[None] | None = None

    def consider(self, event: ev.AnyEvent) -> None:
        """Plan again when the circumstances have changed and no run depends on the plan."""
        telling = ev.DeviceSeen | ev.DeviceSample | ev.LinkMeasured | ev.LinkFailed | ev.RunStopped
        if isinstance(event, telling) and self._stale() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._follow())

    async def settled(self) -> None:
        """Return once the plan is the one for the cluster as it is."""
        while self._stale() or (self._task is not None and not self._task.done()):
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._follow())
            await asyncio.shield(self._task)

    def _stale(self) -> bool:
        state = self._bus.state
        live = state.run is not None and state.run.live
        return not live and circumstances(state) != self._planned_for

    async def _follow(self) -> None:
        """Plan until nothing has changed while planning."""
        while self._stale():
            state = self._bus.state
            self._planned_for = circumstances(state)
            try:
                plan = await asyncio.to_thread(self._wish.plan, self._spec, hosts(state), wires(state))
                event = ev.PlanChosen(t=time.time(), plan=plan)
            except PlanError as error:
                event = ev.PlanFailed(t=time.time(), reason=str(error))
            if self._bus.state.run is not None and self._bus.state.run.live:
                # The run was started on the plan before; what comes of this one is asked for after it.
                self._planned_for = frozenset()
                return
            self._bus.publish(event)

    async def close(self) -> None:
        """End planning."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
