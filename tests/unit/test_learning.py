"""What the planner keeps in mind of the requests that have taught it."""

from __future__ import annotations

from pathlib import Path

from core import events as ev
from core.bus import Bus
from core.models.spec import read
from core.plan.plan import Plan, Stage
from core.planner import Planner
from core.state.talk import ANSWERED
from core.wish import Wish
from tests.unit import modelfiles

PLAN = Plan(model="model", layers=2, stages=(Stage("a", 0, 2),), context=128, backend="sockets")


async def test_requests_that_are_forgotten_are_so_by_the_planner_too(tmp_path: Path) -> None:
    spec = read(modelfiles.model(tmp_path / "model", modelfiles.LLAMA, modelfiles.llama()))
    bus = Bus()
    planner = Planner(bus, spec, Wish())
    bus.subscribe(planner.consider)
    bus.publish(ev.RunStarted(t=1, run="r", plan=PLAN))
    for number in range(3 * ANSWERED):
        request = f"q{number}"
        bus.publish(ev.RequestStarted(t=number, request=request, conversation="", prompt="hi", source="api"))
        bus.publish(
            ev.RankTimed(t=number, request=request, rank=0, compute_s=1.0, wait_s=0.0, steps=3, peak=1)
        )
        bus.publish(ev.RequestDone(t=number, request=request, why="stop", tokens=3))
    assert 0 < len(planner._learnt) <= ANSWERED + 1
    await planner.close()
