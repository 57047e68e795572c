"""When hand-overs are not measured."""

from __future__ import annotations

import asyncio

from core import events as ev
from core.bus import Bus
from core.handovers import Handovers
from core.options import Options
from core.plan.plan import Plan, Stage

PLAN = Plan(
    model="toy", layers=4, stages=(Stage("a", 0, 2), Stage("b", 2, 4)), context=128, backend="sockets"
)


async def test_a_run_that_comes_while_it_waits_for_its_turn_is_not_disturbed() -> None:
    bus, turn = Bus(), asyncio.Lock()
    bus.publish(ev.PlanTaken(t=1, plan=PLAN))
    for device in ("a", "b"):
        bus.publish(ev.DeviceSeen(t=1, device=device, name=device, address="x", status="ready"))
    async with turn:
        waiting = asyncio.create_task(Handovers(bus, {}, turn, Options()).measure())
        await asyncio.sleep(0)
        assert not bus.state.alerts
        bus.publish(ev.RunStarted(t=2, run="r", plan=PLAN))
    async with asyncio.timeout(20):
        await waiting
    assert [alert.text for alert in bus.state.alerts] == ["a run is live; stop it first"]
