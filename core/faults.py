"""Breaking a rehearsal on purpose."""

from __future__ import annotations

import time

from core import events as ev
from core.bus import Bus
from core.intents import FaultKind
from core.rehearsal.rehearsal import Rehearsal

ECHO_DELAY_MS = 50.0
SIGNALS = {"kill": "SIGKILL", "freeze": "SIGSTOP", "thaw": "SIGCONT"}


async def inject(kind: FaultKind, device: str, rehearsal: Rehearsal, bus: Bus) -> None:
    """Break `device`, or mend it, and publish that it was done."""
    if device not in rehearsal.ports:
        return
    pids = _workers(device, bus)
    if kind in SIGNALS and not pids:
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
        case "hasten":
            rehearsal.delay(device, 0)


def _workers(device: str, bus: Bus) -> list[int]:
    """Pids of the live workers on a device."""
    ranks = bus.state.run.ranks if bus.state.run else ()
    return [
        rank.hello.pid
        for rank in ranks
        if rank.device == device and rank.hello is not None and rank.exit is None
    ]
