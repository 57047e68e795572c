"""Keeps the cables between devices, and says it when one is pulled or got slower."""

from __future__ import annotations

import time

from core import events as ev
from core.bus import Bus
from core.complaints import explain
from core.probe.cables import cables
from core.wiring import Cable


class Cabling:
    """Listens to the bus. Call `consider` for every event."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._faults: dict[str, str] = {}
        """What RDMA failed with on a device, until the next run."""

    def consider(self, event: ev.AnyEvent) -> None:
        """Match cables again when an end has changed."""
        match event:
            case ev.DeviceWired() | ev.RunStopped():
                self._match()
            case ev.RunStarted():
                self._faults.clear()
                self._match()
            case ev.RankLogged():
                self._blame(event)
            case ev.DeviceSeen() if event.status in ("ready", "lost"):
                self._match()
            case _:
                pass

    def _match(self) -> None:
        state = self._bus.state
        wirings = {
            device.id: device.wiring
            for device in state.devices.values()
            if device.wiring is not None and device.status == "ready"
        }
        found = cables(wirings, _in_use(self._bus), self._faults)
        if found == state.cables:
            return
        before = state.cables
        self._bus.publish(ev.CablesSeen(t=time.time(), cables=found))
        there = {cable.id for cable in found}
        readable = {name for name in wirings if "cables" not in state.devices[name].gaps}
        for cable in before:
            # A device that is lost, or that cannot tell for now, is said so elsewhere.
            if cable.id not in there and cable.b and {cable.a.device, cable.b.device} <= readable:
                self._alert("error", cable, "is gone")
        for cable in found:
            old = next((c for c in before if c.id == cable.id), None)
            if old is not None and old.gbps and cable.gbps and cable.gbps < old.gbps:
                self._alert("warning", cable, f"runs at {cable.gbps:g} Gb/s now, {old.gbps:g} before")

    def _blame(self, event: ev.RankLogged) -> None:
        run, known = self._bus.state.run, explain(event.line)
        if known is None or not known.rdma or run is None or not 0 <= event.rank < len(run.ranks):
            return
        device = run.ranks[event.rank].device
        if device not in self._faults:
            self._faults[device] = known.cause
            self._match()

    def _alert(self, level: ev.Level, cable: Cable, what: str) -> None:
        self._bus.publish(
            ev.Alert(t=time.time(), level=level, subject=_names(cable), text=f"the cable {what}")
        )


def _names(cable: Cable) -> str:
    far = f"{cable.b.device} ({cable.b.port})" if cable.b else cable.far
    return f"{cable.a.device} ({cable.a.port}) — {far}"


def _in_use(bus: Bus) -> set[frozenset[str]]:
    """Pairs of devices that a live run talks between over RDMA."""
    run = bus.state.run
    if run is None or not run.live or not run.plan.backend.startswith("jaccl"):
        return set()
    names = [post.device for post in run.plan.posts]
    return {frozenset((a, b)) for a in names for b in names if a != b}
