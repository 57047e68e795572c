"""A rank that is slowed, and meets other faults."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core import events as ev
from core import faults
from core.bus import Bus
from core.plan.plan import Plan, Stage

PLAN = Plan(model="toy", layers=2, stages=(Stage("a", 0, 2),), context=128, backend="sockets")


class Rehearsal:
    """Devices whose ranks only count what is done to them."""

    def __init__(self) -> None:
        self.ports = {"a": 1}
        self.signals: list[str] = []
        self.stopped = asyncio.Event()

    def signal(self, _: int, name: str) -> None:
        self.signals.append(name)
        if name == "SIGSTOP":
            self.stopped.set()

    def delay(self, device: str, ms: float) -> None: ...


@pytest.mark.parametrize(
    ("other", "last"), [("freeze", ["SIGSTOP", "SIGSTOP"]), ("hasten", ["SIGSTOP", "SIGCONT"])]
)
async def test_a_slowed_rank_that_is_frozen_stays_so(
    other: Any, last: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "STOPPED_S", 0.01)
    bus, rehearsal = Bus(), Rehearsal()
    there: Any = rehearsal
    bus.publish(ev.RunStarted(t=1, run="r", plan=PLAN))
    bus.publish(ev.RankHello(t=1, run="r", rank=0, pid=7, python="", mlx="", mlx_lm="", compute="cpu"))
    slow = asyncio.create_task(faults.inject("slow", "a", there, bus))
    async with asyncio.timeout(20):
        await rehearsal.stopped.wait()
        await faults.inject(other, "a", there, bus)
        await slow
    assert rehearsal.signals == last
