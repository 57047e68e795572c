"""When hand-overs are not measured."""

from __future__ import annotations

import asyncio

from core import events as ev
from core.bus import Bus
from core.handovers import Handovers
from core.options import Options
from tests.unit.benches import SPEC, plan


async def test_a_run_that_comes_while_it_waits_for_its_turn_is_not_disturbed() -> None:
    bus, turn = Bus(), asyncio.Lock()
    bus.publish(ev.ModelChosen(t=1, spec=SPEC))
    bus.publish(ev.PlanTaken(t=1, plan=plan()))
    for device in ("a", "b"):
        bus.publish(ev.DeviceSeen(t=1, device=device, name=device, address="x", status="ready"))
        bus.publish(
            ev.DeviceSample(t=1, device=device, memory_total=2**34, memory_used=0, memory_limit=2**34)
        )
    async with turn:
        waiting = asyncio.create_task(Handovers(bus, {}, turn, Options()).measure())
        await asyncio.sleep(0)
        assert not bus.state.alerts
        bus.publish(ev.RunStarted(t=2, run="r", plan=plan()))
    async with asyncio.timeout(20):
        await waiting
    assert [alert.text for alert in bus.state.alerts] == ["a run is live; stop it first"]
