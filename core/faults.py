"""Breaking a rehearsal on purpose."""

from __future__ import annotations

import asyncio
import time
from random import Random

from core import events as ev
from core.bus import Bus
from core.intents import FaultKind
from core.rehearsal.rehearsal import Rehearsal

ECHO_DELAY_MS = 50.0
STOPPED_S, RUNNING_S = 0.08, 0.02
"""In turns, for a slow rank: a fifth of its speed, never stopped for so long that it counts as frozen."""
CHAOS_S = (8.0, 20.0)
"""From one fault to the next."""
MENDED_S = (4.0, 8.0)
MEND: dict[FaultKind, FaultKind] = {"cut": "mend", "slow": "hasten"}
SIGNALS = {"kill": "SIGKILL", "freeze": "SIGSTOP", "thaw": "SIGCONT"}


async def inject(kind: FaultKind, device: str, rehearsal: Rehearsal, bus: Bus) -> None:
    """Break `device`, or mend it, and publish that it was done."""
    if device not in rehearsal.ports:
        return
    pids = _workers(device, bus)
    if kind in (*SIGNALS, "slow") and not pids:
        text = f"has no rank to {kind}"
        bus.publish(ev.Alert(t=time.time(), level="warning", subject=device, text=text))
        return
    bus.publish(ev.FaultInjected(t=time.time(), kind=kind, target=device))
    match kind:
        case "kill" | "freeze" | "thaw":
            for pid in pids:
                rehearsal.signal(pid, SIGNALS[kind])
        case "cut":
            await rehearsal.cut(device)
        case "mend":
            await rehearsal.mend(device)
        case "delay":
            rehearsal.delay(device, ECHO_DELAY_MS)
        case "slow":
            await _slow(device, pids, rehearsal, bus)
        case "hasten":
            rehearsal.delay(device, 0)


async def _slow(device: str, pids: list[int], rehearsal: Rehearsal, bus: Bus) -> None:
    """Stop and continue ranks until the device is hastened, or they are gone."""
    begun = len(bus.state.faults)

    def since(kind: FaultKind) -> bool:
        return any(f.kind == kind and f.target == device for f in bus.state.faults[begun:])

    while _workers(device, bus) == pids and not since("hasten"):
        for name, seconds in (("SIGSTOP", STOPPED_S), ("SIGCONT", RUNNING_S)):
            if since("freeze"):  # they are to stay stopped
                return
            for pid in pids:
                rehearsal.signal(pid, name)
            await asyncio.sleep(seconds)


async def chaos(rehearsal: Rehearsal, bus: Bus, random: Random) -> None:
    """One fault after another on the devices of the run, for ever; what can be mended is."""
    while True:
        await asyncio.sleep(random.uniform(*CHAOS_S))
        run = bus.state.run
        if run is None or not run.live or run.ready is None:
            continue
        device = random.choice(run.ranks).device
        kind: FaultKind = random.choice(("kill", "freeze", "slow", "cut"))
        breaking = asyncio.create_task(inject(kind, device, rehearsal, bus))
        try:
            if kind in MEND:
                await asyncio.sleep(random.uniform(*MENDED_S))
                await inject(MEND[kind], device, rehearsal, bus)
            await breaking
        finally:
            breaking.cancel()


def _workers(device: str, bus: Bus) -> list[int]:
    """Pids of the live workers on a device."""
    ranks = bus.state.run.ranks if bus.state.run else ()
    return [
        rank.hello.pid
        for rank in ranks
        if rank.device == device and rank.hello is not None and rank.exit is None
    ]
