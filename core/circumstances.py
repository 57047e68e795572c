"""What the state of a cluster means for a plan: devices and links it may use, and what keeps others out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from core.events import RankExited, RunStopped
from core.plan import memory
from core.plan.check import problems
from core.plan.plan import Host, Plan, Wire
from core.state import ClusterState, Device

FRESH_S = 3.0
"""Within which samples tell of the memory that a run has given back."""
_SURE_S = 1.0
"""A sample so much newer than the end of a rank has nothing of it."""
FLOOR_US = 2_000.0
"""Round trips below this differ by less than a hand-over costs anyway."""
_ROUGHLY = 2**24
"""Bytes of memory in use that make no difference to a figure."""
_ROOM = 2**26
"""Bytes more to spare from which there may be a plan where there was none."""
_STEP = 1 / 8
"""Share of a device's limit from which memory in use makes a difference to a plan."""


def hosts(state: ClusterState) -> list[Host]:
    """The devices a plan may use now, by name. What ranks hold counts as free: whatever is planned now is
    launched after them."""
    held = _held(state)
    return [
        Host(
            device.id,
            device.sample.memory_limit,
            max(0, device.sample.memory_used - held.get(device.id, 0)),
            chip=device.facts.chip if device.facts else "",
            cores=device.facts.cores if device.facts else 0,
            tuning=device.tuning,
        )
        for device in sorted(state.devices.values(), key=lambda device: device.id)
        if device.status == "ready" and device.sample is not None and _has_python(device)
    ]


def _has_python(device: Device) -> bool:
    return device.facts is None or device.facts.python != ""


def _held(state: ClusterState) -> dict[str, int]:
    """Bytes of each device's newest sample that are a rank's, as far as it said: one of the live run, or one
    that has just ended."""
    run = state.run
    if run is None:
        return {}
    return {
        rank.device: rank.beat.active + rank.beat.cache + memory.RUNTIME
        for rank in run.ranks
        if rank.beat is not None and _sampled(state.devices.get(rank.device), rank.exit or run.stopped)
    }


def _sampled(device: Device | None, end: RankExited | RunStopped | None) -> bool:
    """Whether a device's newest sample has, or may have, a rank in it that ended so."""
    if device is None or device.sample is None:
        return False
    return end is None or device.sample.t <= end.t + _SURE_S


def wires(state: ClusterState) -> list[Wire]:
    """The path in use of each link whose last burst was answered, and each pair of devices with cables ready
    for RDMA."""
    over_ip = [
        Wire(
            a=link.source,
            b=link.target,
            kind=link.last.kind,
            rtt_us=link.last.p50_us,
            rate=link.lane.rate.last,
            ends=(link.last.local, link.last.address),
        )
        for link in state.links.values()
        if link.last is not None and not link.failure
    ]
    ends: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for cable in state.cables:
        if cable.b is not None and cable.mutual and cable.rdma in ("ready", "in use"):
            near, far = sorted((cable.a, cable.b), key=lambda end: end.device)
            pair = (f"rdma_{near.interface}", f"rdma_{far.interface}")
            ends.setdefault((near.device, far.device), []).append(pair)
    return over_ip + [Wire(a=a, b=b, kind="rdma", rdma=tuple(pairs)) for (a, b), pairs in ends.items()]


def standing(state: ClusterState) -> dict[str, str]:
    """What keeps each device out of any plan, as in "demo-b is lost"; empty where nothing does."""
    usable = {host.id: memory.usable(host) > 0 for host in hosts(state)}
    said: dict[str, str] = {}
    for device in state.devices.values():
        if device.status != "ready":
            word = {"refused": "refuses", "untrusted": "is not trusted yet"}.get(
                device.status, f"is {device.status}"
            )
            said[device.id] = f"{word}: {device.detail}" if device.detail else word
        elif not _has_python(device):
            said[device.id] = "has no Python to run a rank with"
        elif device.id not in usable:
            said[device.id] = "has not said how much memory it has"
        else:
            said[device.id] = "" if usable[device.id] else "has no memory free"
    return said


class Circumstances(msgspec.Struct, frozen=True):
    """What a plan depends on."""

    hosts: tuple[Host, ...] = ()
    links: frozenset[object] = frozenset()
    """What another plan may come of: kind, ends and rate to one digit of each link, how many times four its
    round trip exceeds the floor, and whether all are measured yet."""

    def like(self, before: Circumstances) -> bool:
        """Whether a plan made before still is the one to make. Memory in use counts from an eighth of a
        device's limit: plans shall not flicker."""
        return (
            self.links == before.links
            and _but_memory(self.hosts) == _but_memory(before.hosts)
            and all(abs(gained) <= limit * _STEP for gained, limit in self._gained(before))
        )

    def roomier(self, before: Circumstances) -> bool:
        """Whether a device has more memory to spare than before."""
        return any(gained >= _ROOM for gained, _ in self._gained(before))

    def _gained(self, before: Circumstances) -> list[tuple[int, int]]:
        """Bytes that each device has more to spare than before, and its limit."""
        had = {host.id: memory.usable(host) for host in before.hosts}
        return [(memory.usable(h) - had[h.id], h.memory_limit) for h in self.hosts if h.id in had]


def _but_memory(hosts: Sequence[Host]) -> list[Host]:
    return [replace(host, memory_used=0) for host in hosts]


def circumstances(state: ClusterState) -> Circumstances:
    """What a plan made now depends on."""
    there = hosts(state)
    names = {host.id for host in there}
    if not names:
        return Circumstances()
    between = [wire for wire in wires(state) if wire.a in names and wire.b in names]
    slow = {
        (wire.a, wire.b, math.ceil(math.log(wire.rtt_us / FLOOR_US, 4)))
        for wire in between
        if wire.rtt_us is not None and wire.rtt_us > FLOOR_US
    }
    kinds = {(w.a, w.b, w.kind, w.rdma, w.ends[1], f"{w.rate or 0:.0e}") for w in between}
    complete = {sum(not wire.rdma for wire in between) >= len(names) * (len(names) - 1) // 2}
    return Circumstances(tuple(there), frozenset(slow | kinds | complete))


def unsettled(state: ClusterState) -> bool:
    """Whether samples have yet to tell what memory a run that has just ended has given back. A device that
    sends none any more is not waited for."""
    end = state.run.stopped if state.run is not None else None
    if end is None or state.now > end.t + FRESH_S:
        return False
    return not _held(state).keys().isdisjoint(host.id for host in hosts(state))


def obstacle(state: ClusterState, plan: Plan) -> str:
    """What keeps a plan from being launched on the cluster as it is; empty where nothing does."""
    if state.model is None:
        return "no model is chosen"
    found = problems(state.model, {host.id: host for host in hosts(state)}, standing(state), plan)
    return found[0] if found else ""


def closely(state: ClusterState) -> object:
    """What the figures of a plan depend on: memory to a few megabytes, round trips to two digits."""
    there = [(h.id, h.memory_limit, h.memory_used // _ROUGHLY, h.tuning) for h in hosts(state)]
    return there, [(w.a, w.b, w.kind, f"{w.rtt_us or 0:.2g}", f"{w.rate or 0:.2g}") for w in wires(state)]
