"""The planner's plan follows what devices have to spare: not each sample, and not while a run is in them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core import events as ev
from core import planner
from core.bus import Bus
from core.circumstances import FRESH_S, hosts, unsettled
from core.config import Config
from core.intents import why_not_launch
from core.library import Library
from core.models.found import Model
from core.models.spec import ModelSpec
from core.plan.plan import Host, Tuning
from core.planner import Planner
from core.wish import Wish

GIB = 2**30
SPEC = ModelSpec(
    name="toy", path="/nowhere", family="llama", layers=32, layer_bytes=(GIB,) * 32,
    embed_bytes=GIB, head_bytes=GIB, tied=False, hidden=4096, heads=32, kv_heads=8,
    kv_bytes=(4096,) * 32, windows=(None,) * 32, vocabulary=128256, context=4096,
)  # fmt: skip
"""It takes some 36 GiB."""
LIMIT = {"a": 64 * GIB, "b": 32 * GIB}


class Cluster:
    """Devices that say what they have, and the planner that hears it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(planner, "LOOK_S", 0.0)
        self.bus = Bus()
        self._planner = Planner(self.bus, SPEC, Wish())
        self.bus.subscribe(self._planner.consider)
        self.t = time.time()

    async def tell(self, *events: ev.AnyEvent) -> None:
        for event in events:
            self.bus.publish(event)
        await self._planner.settled()

    async def use(self, **gib: float) -> float:
        """Samples of devices with so much memory in use; returns when the last was taken."""
        for name, used in gib.items():
            self.t += 2.0
            await self.tell(
                ev.DeviceSample(
                    t=self.t, device=name, memory_total=LIMIT[name], memory_used=int(used * GIB),
                    memory_limit=LIMIT[name],
                )
            )  # fmt: skip
        return self.t

    @property
    def split(self) -> dict[str, int]:
        plan = self.bus.state.plan
        return {stage.device: stage.layers for stage in plan.stages} if plan else {}

    @property
    def planning(self) -> bool:
        task = self._planner._task
        return task is not None and not task.done()

    async def close(self) -> None:
        await self._planner.close()


@asynccontextmanager
async def cluster(monkeypatch: pytest.MonkeyPatch, **gib: float) -> AsyncIterator[Cluster]:
    made = Cluster(monkeypatch)
    try:
        await made.tell(ev.ModelChosen(t=0.5, spec=SPEC))
        for name in gib:
            await made.tell(ev.DeviceSeen(t=0.5, device=name, name=name, address=name, status="ready"))
        await made.use(**gib)
        yield made
    finally:
        await made.close()


async def test_a_plan_is_found_once_there_is_memory_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster(monkeypatch, a=30) as live:
        assert live.split == {}
        assert "more on a would do" in str(why_not_launch(live.bus.state))
        await live.use(a=23)
        assert live.split == {"a": 32}
        assert why_not_launch(live.bus.state) is None


async def test_a_plan_for_which_there_is_no_memory_any_more_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with cluster(monkeypatch, a=22, b=0) as live:
        assert live.split == {"a": 32}
        await live.use(a=29)  # less than an eighth of what it may use
        assert sum(live.split.values()) == 32 and live.split["b"] >= 1
        await live.use(b=32)
        assert live.split == {}
        assert "more on a would do" in str(why_not_launch(live.bus.state))


async def test_before_it_is_made_anew_nothing_is_launched_into_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster(monkeypatch, a=22, b=0) as live:
        monkeypatch.setattr(planner, "LOOK_S", 3600.0)
        await live.use(a=29)
        assert live.split == {"a": 32}
        assert str(why_not_launch(live.bus.state)) == "a is 1.7 GiB short of memory for 32 layers"
        await live.use(a=31)  # more than an eighth: that is seen at once
        assert live.split["b"] >= 1


async def test_a_plan_does_not_change_with_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster(monkeypatch, a=10, b=4) as live:
        heard: list[ev.AnyEvent] = []
        live.bus.subscribe(lambda event: heard.append(event) if isinstance(event, ev.PlanEvent) else None)
        for used in (11, 9, 17, 3, 10):
            await live.use(a=used)
        assert heard == []
        await live.use(a=19)
        assert len(heard) == 1
        await live.use(a=12)
        assert len(heard) == 1


async def test_what_a_run_leaves_is_planned_with_once_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster(monkeypatch, a=2) as live:
        plan, run = live.bus.state.plan, "r"
        assert plan is not None
        beat = ev.RankBeat(
            t=live.t, run=run, rank=0, state="idle", age=0.0, step=0, active=34 * GIB, peak=0, cache=0
        )
        await live.tell(ev.RunStarted(t=live.t, run=run, plan=plan), beat)
        ended = await live.use(a=2 + 34) + 0.5
        for event in (
            ev.RankExited(t=ended, run=run, rank=0, code=0),
            ev.DeviceTuned(t=ended, device="a", tuning=Tuning(0.5, 1.0, 50)),
            ev.RunStopped(t=ended, run=run, failed=False, reason=""),
        ):
            live.bus.publish(event)
        assert not live.planning
        assert live.bus.state.auto == plan and why_not_launch(live.bus.state) is None
        await live.use(a=2)
        assert live.split == {"a": 32} and live.bus.state.auto != plan


async def test_a_device_that_sends_no_more_samples_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster(monkeypatch, a=2) as live:
        plan = live.bus.state.plan
        assert plan is not None
        beat = ev.RankBeat(
            t=live.t, run="r", rank=0, state="idle", age=0.0, step=0, active=GIB, peak=0, cache=0
        )
        for event in (
            ev.RunStarted(t=live.t, run="r", plan=plan),
            beat,
            ev.RunStopped(t=live.t, run="r", failed=False, reason=""),
        ):
            live.bus.publish(event)
        assert unsettled(live.bus.state)
        async with asyncio.timeout(30):
            await live.tell(ev.Tick(t=live.t + FRESH_S + 1))
        assert why_not_launch(live.bus.state) is None


async def test_whether_a_model_fits_is_asked_again_once_memory_is_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with cluster(monkeypatch, a=30) as live:
        library, model = (
            Library(live.bus, Config(tmp_path, tmp_path), Wish(), {}),
            Model(path="", name="toy", spec=SPEC),
        )
        before = await library.fit(model)
        assert before is not None and before.alone == () and "more on a would do" in before.reason
        await live.use(a=23)
        after = await library.fit(model)
        assert after is not None and after.alone == ("a",) and after.reason == ""
        await live.use(a=22)
        assert await library.fit(model) is after
        await live.use(a=40)
        again = await library.fit(model)
        assert again is not None and again.alone == ()


def hello(limit: int) -> ev.RankHello:
    return ev.RankHello(
        t=4.0, run="r", rank=0, pid=1, python="3.11", mlx="0", mlx_lm="0", compute="gpu", memory_limit=limit
    )


def mac(assumed: bool) -> list[ev.AnyEvent]:
    facts = ev.DeviceFacts(
        t=0.5,
        device="a",
        system="Darwin",
        release="26",
        machine="arm64",
        chip="Apple M4",
        cores=10,
        python="3",
    )
    sample = ev.DeviceSample(
        t=0.5, device="a", memory_total=96 * GIB, memory_used=0, memory_limit=64 * GIB, assumed=assumed
    )
    return [ev.DeviceSeen(t=0.5, device="a", name="a", address="a", status="ready"), facts, sample]


@pytest.mark.parametrize("assumed", [True, False])
async def test_what_metal_recommends_counts_where_the_limit_was_assumed(
    assumed: bool, tmp_path: Path
) -> None:
    kept = tmp_path / "devices.json"

    async def limits(*events: ev.AnyEvent) -> list[int]:
        bus = Bus()
        planner = Planner(bus, SPEC, Wish(), kept)
        bus.subscribe(planner.consider)
        for event in [ev.ModelChosen(t=0.5, spec=SPEC), *mac(assumed), *events, *mac(assumed)]:
            bus.publish(event)
        found = [host.memory_limit // GIB for host in hosts(bus.state)]
        await planner.close()
        return found

    plan = Wish().plan(SPEC, [Host("a", 64 * GIB)])
    told = [80 if assumed else 64]
    assert await limits(ev.RunStarted(t=3.0, run="r", plan=plan), hello(80 * GIB)) == told
    assert await limits() == told  # another console, later
