"""After a run: whether its devices have back what it took. Where they have not, a reboot is advised."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from core import events as ev
from core.bus import Bus
from core.remote.machine import Machine
from core.run.rank import LEASE, alive
from core.text import size

PATIENCE_S = 10.0
"""A system takes some seconds to give freed memory back."""
SLACK = 2**28
"""Bytes that others may have taken meanwhile."""


def withheld(before: int, now: int, held: int) -> int:
    """Bytes in use beyond those before the run, where that is most of what its rank held; else 0."""
    more = now - before
    return more if more > SLACK and more > held / 2 else 0


class Aftermath:
    """Call `consider` for every event. `machine` gives a device's, None while it is away."""

    def __init__(self, bus: Bus, machine: Callable[[str], Machine | None]) -> None:
        self._bus = bus
        self._machine = machine
        self._before: dict[str, int] = {}
        """Memory in use when the run was launched."""
        self._held: dict[str, tuple[int, float]] = {}
        """What its rank held, and when it ended, until the memory is back."""
        self._unseen: dict[str, int] = {}
        """Pids of ranks on devices that were lost: nobody has seen them end."""
        self._tasks: set[asyncio.Task[None]] = set()

    def consider(self, event: ev.AnyEvent) -> None:
        """Note what was taken, look whether it is back."""
        match event:
            case ev.RunStarted():
                # What a run before has not given back is no part of what this one finds.
                missing = {device: self._before[device] for device in self._held if device in self._before}
                now = {
                    device.id: device.sample.memory_used
                    for device in self._bus.state.devices.values()
                    if device.sample is not None
                }
                self._before = now | missing
            case ev.RunStopped():
                self._note(event.t)
            case ev.DeviceSample() if event.device in self._held and not self._at_work(event.device):
                self._compare(event)
            case ev.DeviceSeen(status="ready") if event.device in self._unseen:
                task = asyncio.create_task(self._look(event.device, self._unseen.pop(event.device)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case _:
                pass

    def close(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()

    def _note(self, t: float) -> None:
        run = self._bus.state.run
        for rank in run.ranks if run is not None else ():
            # Where one came not so far as to hold any, what is missing is that of the rank before it.
            held = rank.loaded.weights if rank.loaded else self._held.get(rank.device, (0, 0.0))[0]
            if held:
                self._held[rank.device] = held, t
            gone = rank.exit
            if rank.hello is not None and gone is not None and gone.code is None and gone.signal is None:
                self._unseen[rank.device] = rank.hello.pid

    def _at_work(self, device: str) -> bool:
        run = self._bus.state.run
        return run is not None and run.live and any(rank.device == device for rank in run.ranks)

    def _compare(self, sample: ev.DeviceSample) -> None:
        held, ended = self._held[sample.device]
        before = self._before.get(sample.device)
        kept = withheld(before, sample.memory_used, held) if before is not None else 0
        if kept and sample.t - ended < PATIENCE_S:
            return
        del self._held[sample.device]
        if kept:
            text = f"has {size(kept)} more in use than before the run, though its rank has ended"
            self._say("warning", sample.device, f"{text}; if nothing else took it, it needs a reboot")

    async def _look(self, device: str, pid: int) -> None:
        await asyncio.sleep(LEASE)  # so long it may live by itself
        machine = self._machine(device)
        if machine is not None and await alive(machine, pid):
            text = f"came back with its old rank (pid {pid}) still there; if that stays, it needs a reboot"
            self._say("error", device, text)

    def _say(self, level: ev.Level, device: str, text: str) -> None:
        self._bus.publish(ev.Alert(t=time.time(), level=level, subject=device, text=text))
