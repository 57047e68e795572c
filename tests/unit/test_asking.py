"""Prompts that come while a run ends, on devices where nothing can be started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core import events as ev
from core.bus import Bus
from core.cluster import Cluster
from core.config import Config, Recover
from core.models.spec import ModelSpec, read
from core.plan.check import Held, certify
from core.plan.plan import Plan, Stage
from core.run.launch import Run
from core.state import ClusterState, Request
from tests.unit import modelfiles

PLAN = Plan(model="model", layers=2, stages=(Stage("a", 0, 2),), context=128, backend="sockets")
LIMIT = 30.0


class Machine:
    """One on which a launch fails, each time with another word."""

    models = ""

    def __init__(self) -> None:
        self.tries = 0

    async def has(self, _: str) -> bool:
        self.tries += 1
        raise OSError(f"try {self.tries}")

    async def gone(self) -> str:
        await asyncio.Event().wait()
        return ""


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    return read(modelfiles.model(tmp_path / "model", modelfiles.LLAMA, modelfiles.llama()))


@asynccontextmanager
async def planned(folder: Path, spec: ModelSpec, machine: Machine | None) -> AsyncIterator[Cluster]:
    """A cluster with a plan for its one device."""
    config = Config(folder, folder / "cache", local=False, recover=Recover(policy="off"))
    cluster = Cluster(Bus(), config, spec=spec)
    try:
        await cluster.start()
        member: Any = SimpleNamespace(machine=machine, name="a")
        cluster._membership.members["a"] = member
        publish = cluster.bus.publish
        publish(ev.DeviceSeen(t=1, device="a", name="a", address="x", status="ready"))
        publish(ev.DeviceSample(t=1, device="a", memory_total=2**34, memory_used=0, memory_limit=2**34))
        publish(ev.PlanTaken(t=1, plan=PLAN))
        yield cluster
    finally:
        await cluster.close()


async def until(cluster: Cluster, so: Callable[[ClusterState], object]) -> ClusterState:
    async with asyncio.timeout(LIMIT):
        return await cluster.bus.until(lambda state: bool(so(state)))


async def end_of(cluster: Cluster, request: Request | None) -> ev.RequestDone:
    assert request is not None
    state = await until(cluster, lambda state: state.requests[request.id].done)
    done = state.requests[request.id].done
    assert done is not None
    return done


def runs(cluster: Cluster, spec: ModelSpec, machine: Machine | None) -> Run:
    """A run without workers, as ready as any."""
    there: Any = machine
    run = cluster.run = Run(PLAN, spec, {"a": there}, cluster.bus.publish)
    cluster.bus.publish(ev.RunStarted(t=2, run=run.id, plan=PLAN))
    certificate = certify(PLAN, [Held(0, "a", 0, 2, "00" * 32)])
    cluster.bus.publish(ev.RunReady(t=3, run=run.id, certificate=certificate, seconds=1.0))
    return run


async def test_a_prompt_typed_while_a_hung_rank_is_being_ended_is_for_the_next_run(
    tmp_path: Path, spec: ModelSpec
) -> None:
    machine = Machine()
    async with planned(tmp_path, spec, machine) as cluster:
        run = runs(cluster, spec, machine)
        cluster.ask("Anybody there?")
        before = cluster.bus.state.active
        [rank] = run.ranks
        async with rank._starting:  # it does not end
            cluster.stop()
            await asyncio.sleep(0)
            assert before is not None
            cluster.withdraw(before.id)
            cluster.ask("And now?")
            after = cluster.bus.state.active
            assert cluster.bus.state.run is not None and cluster.bus.state.run.live
        assert after is not None and after.id != before.id
        assert (await end_of(cluster, before)).why == "cancel"
        assert (await end_of(cluster, after)).detail == "a: try 1"


async def test_a_prompt_typed_when_its_device_is_gone_by_the_time_the_run_has_ended_is_told_so(
    tmp_path: Path, spec: ModelSpec
) -> None:
    async with planned(tmp_path, spec, None) as cluster:
        run = runs(cluster, spec, None)
        async with run.ranks[0]._starting:
            cluster.stop()
            await asyncio.sleep(0)
            cluster.ask("Anybody there?")
            request = cluster.bus.state.active
            cluster.bus.publish(ev.DeviceSeen(t=4, device="a", name="a", address="x", status="lost"))
        assert (await end_of(cluster, request)).detail == "a is lost"


async def test_a_prompt_typed_just_after_a_launch_has_failed_does_not_end_with_it(
    tmp_path: Path, spec: ModelSpec
) -> None:
    async with planned(tmp_path, spec, Machine()) as cluster:
        cluster.ask("Anybody there?")
        first = cluster.bus.state.active
        assert (await end_of(cluster, first)).detail == "a: try 1"
        launching = cluster._launching
        assert launching is not None and not launching.done(), "it has the last word on its run"
        cluster.ask("And now?")
        assert (await end_of(cluster, cluster.bus.state.active)).detail == "a: try 2"


async def test_a_prompt_whose_device_was_lost_before_the_launch_is_told_so(
    tmp_path: Path, spec: ModelSpec
) -> None:
    async with planned(tmp_path, spec, None) as cluster:
        cluster.ask("Anybody there?")
        assert (await end_of(cluster, cluster.bus.state.active)).detail == "a was lost"


async def test_a_launch_ends_the_measurement_of_hand_overs(tmp_path: Path, spec: ModelSpec) -> None:
    machine = Machine()
    async with planned(tmp_path, spec, machine) as cluster:
        begun, seen = asyncio.Event(), list[int]()

        async def measure() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)  # its ranks take their time to end
                seen.append(machine.tries)

        cluster._handovers.measure = measure
        cluster.lap()
        async with asyncio.timeout(LIMIT):
            await begun.wait()
        cluster.launch()
        cluster.lap()
        await until(cluster, lambda state: state.run and state.run.stopped)
        assert seen == [0], "ended, and not begun again, before anything was launched"
