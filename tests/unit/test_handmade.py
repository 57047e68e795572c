"""A plan chosen by hand in a live cluster: it stays, and says what keeps it from launching."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from core import events as ev
from core.bus import Bus
from core.circumstances import hosts, standing
from core.handmade import Handmade
from core.intents import why_not_launch
from core.plan.plan import Tuning
from core.state import ClusterState
from tests.tui import scenes

T = scenes.T0 + 10


@asynccontextmanager
async def kept(events: list[ev.AnyEvent]) -> AsyncIterator[tuple[Bus, Handmade]]:
    bus = Bus(scenes.fold(events))
    handmade = Handmade(bus)
    bus.subscribe(handmade.consider)
    try:
        yield bus, handmade
    finally:
        await handmade.close()


async def until(bus: Bus, reached: Callable[[ClusterState], object]) -> ClusterState:
    async with asyncio.timeout(30):
        return await bus.until(lambda state: bool(reached(state)))


def lost(name: str) -> ev.DeviceSeen:
    return ev.DeviceSeen(t=T, device=name, name=name, address="127.0.0.1", status="lost", detail="no answer")


async def test_a_plan_taken_by_hand_is_used_until_it_is_released() -> None:
    auto = scenes.plan()
    mine = scenes.plan((2, 2, 26))
    async with kept(scenes.planned()) as (bus, handmade):
        handmade.take(mine)
        assert bus.state.by_hand
        state = await until(bus, lambda state: state.plan.forecast)
        assert state.plan is not None and state.plan.forecast is not None
        assert state.plan.stages == mine.stages
        assert state.plan.why[0] == "changed by hand"
        assert state.plan.forecast.confidence == "links measured"
        other = scenes.plan((10, 10, 10))
        bus.publish(ev.PlanChosen(t=T, plan=other))
        assert bus.state.plan is not None and bus.state.plan.stages == mine.stages
        assert bus.state.auto == other != auto
        handmade.release()
        assert not bus.state.by_hand
        assert bus.state.plan == other


async def test_it_stays_when_a_device_is_lost_and_says_so_until_it_is_back() -> None:
    async with kept(scenes.planned()) as (bus, handmade):
        handmade.take(scenes.plan())
        assert why_not_launch(bus.state) is None
        bus.publish(lost("demo-b"))
        bus.publish(ev.PlanFailed(t=T, reason="whatever the planner thinks of it"))
        assert bus.state.plan is not None
        assert bus.state.plan.stages == scenes.plan().stages
        assert why_not_launch(bus.state) == "demo-b is lost: no answer"
        bus.publish(replace(lost("demo-b"), status="ready", detail=""))
        assert why_not_launch(bus.state) is None


async def test_memory_that_runs_short_and_comes_back_is_noticed() -> None:
    def sample(used: float) -> ev.DeviceSample:
        return ev.DeviceSample(
            t=T, device="demo-c", memory_total=2**31, memory_used=int(used), memory_limit=2**30
        )

    async with kept(scenes.planned()) as (bus, handmade):
        handmade.take(scenes.plan())
        bus.publish(sample(0.8 * 2**30))
        assert "demo-c is" in str(why_not_launch(bus.state))
        assert "short of memory for 8 layers" in str(why_not_launch(bus.state))
        bus.publish(sample(0.1 * 2**30))
        assert why_not_launch(bus.state) is None


async def test_what_runs_taught_changes_its_figures() -> None:
    async with kept(scenes.planned()) as (bus, handmade):
        handmade.take(scenes.plan())
        state = await until(bus, lambda state: state.plan.forecast)
        before = state.plan.forecast if state.plan else None
        for name in scenes.NAMES:
            bus.publish(ev.DeviceTuned(t=T, device=name, tuning=Tuning(0.01, 50.0, 60)))
        state = await until(bus, lambda state: state.plan.forecast and state.plan.forecast != before)
        after = state.plan.forecast if state.plan else None
        assert before is not None and after is not None
        assert after.decode_tps < before.decode_tps
        state = await until(bus, lambda state: state.plan.forecast.confidence == "measured")


async def test_a_plan_of_another_model_is_not_launched() -> None:
    async with kept(scenes.planned()) as (bus, handmade):
        handmade.take(replace(scenes.plan(), model="another"))
        assert why_not_launch(bus.state) == "this plan is for another of 30 layers"


@pytest.mark.parametrize(
    ("status", "said"),
    [("lost", "is lost: why"), ("refused", "refuses: why"), ("connecting", "is connecting: why")],
)
def test_what_keeps_a_device_out_is_said_in_words(status: ev.DeviceStatus, said: str) -> None:
    state = scenes.fold([*scenes.planned(), replace(lost("demo-b"), status=status, detail="why")])
    assert standing(state) == {"demo-a": "", "demo-b": said, "demo-c": ""}


def test_what_the_live_run_holds_is_free_for_the_plan_after_it() -> None:
    before = scenes.fold(scenes.planned())
    during = scenes.fold([*scenes.planned(), *scenes.run_ready(T)])
    for idle, busy in zip(hosts(before), hosts(during), strict=True):
        assert idle.memory_used - busy.memory_used > 200 * 2**20


def stopped(t: float) -> list[ev.AnyEvent]:
    exits = [ev.RankExited(t=t, run="run-1", rank=rank, code=0) for rank in range(3)]
    return [*exits, ev.RunStopped(t=t, run="run-1", failed=False, reason="another plan was launched")]


def full(t: float, used: int) -> ev.DeviceSample:
    return ev.DeviceSample(t=t, device="demo-c", memory_total=2**31, memory_used=used, memory_limit=2**30)


async def test_a_run_that_has_just_ended_is_not_in_the_way_of_the_plan_after_it() -> None:
    held = (110 + 10 + 160) * 2**20
    async with kept([*scenes.planned(), *scenes.run_ready(T), full(T, 600 * 2**20 + held)]) as (
        bus,
        handmade,
    ):
        handmade.take(scenes.plan())
        for event in stopped(T + 0.4):
            bus.publish(event)
        assert why_not_launch(bus.state) is None
        assert hosts(bus.state)[2].memory_used == 600 * 2**20
        bus.publish(full(T + 1.2, 600 * 2**20 + held))  # it may have been taken before the rank ended
        assert why_not_launch(bus.state) is None
        bus.publish(full(T + 2.2, 600 * 2**20 + held))  # others have it now
        assert "demo-c is" in str(why_not_launch(bus.state))
        bus.publish(full(T + 3.2, 600 * 2**20))
        assert why_not_launch(bus.state) is None
