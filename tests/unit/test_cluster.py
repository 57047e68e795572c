"""What the cluster decides by itself, on rehearsed devices where it takes some."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from core import events as ev
from core.bus import Bus
from core.cluster import Cluster
from core.config import Config
from core.intents import why_not_provision
from core.joining import Wanted
from core.models.spec import ModelSpec, read
from core.rehearsal.rehearsal import Rehearsal
from core.remote.door import Door
from core.remote.hostkeys import HostKeys
from core.state import ClusterState, apply
from core.wish import Wish
from tests.unit import modelfiles

LIMIT = 60.0


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    return read(modelfiles.model(tmp_path / "model", modelfiles.LLAMA, modelfiles.llama()))


@asynccontextmanager
async def running(
    folder: Path, devices: int, spec: ModelSpec | None = None, wish: Wish | None = None
) -> AsyncIterator[Cluster]:
    rehearsal = Rehearsal(devices) if devices else None
    config = Config(folder, folder / "cache", local=False)
    cluster = Cluster(Bus(), config, spec=spec, wish=wish, rehearsal=rehearsal)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.close()


async def until(cluster: Cluster, reached: Callable[[ClusterState], bool]) -> ClusterState:
    async with asyncio.timeout(LIMIT):
        return await cluster.bus.until(reached)


def planned_on(*names: str) -> Callable[[ClusterState], bool]:
    return lambda state: state.plan is not None and {s.device for s in state.plan.stages} == set(names)


async def test_it_plans_again_when_a_device_is_lost_and_when_it_is_back(
    tmp_path: Path, spec: ModelSpec
) -> None:
    both = Wish(split=(1, 1), on=("demo-b", "demo-a"))
    async with running(tmp_path, 2, spec, both) as cluster:
        state = await until(cluster, planned_on("demo-a", "demo-b"))
        assert state.plan is not None
        assert [stage.device for stage in state.plan.stages] == ["demo-b", "demo-a"]
        cluster.inject("cut", "demo-b")
        state = await until(cluster, lambda state: state.plan is None)
        assert state.plan_failure == "demo-b is not ready"
        cluster.inject("mend", "demo-b")
        await until(cluster, planned_on("demo-a", "demo-b"))


async def test_a_prompt_launches_the_plan_and_ends_with_a_launch_that_fails(
    tmp_path: Path, spec: ModelSpec
) -> None:
    async with running(tmp_path, 1, spec) as cluster:
        await until(cluster, planned_on("demo-a"))
        shutil.rmtree(spec.path)
        for asked in (1, 2):  # the second one finds no trace of the first
            cluster.ask("Anybody there?")
            assert cluster.bus.state.active is not None
            state = await until(cluster, lambda state: state.active is None)
            assert len(state.requests) == asked
            done = list(state.requests.values())[-1].done
            assert done is not None and done.why == "error"
            assert done.detail.startswith(f"demo-a: it has no model at {spec.path}, and it cannot be copied")
            assert state.run is not None and state.run.stopped is not None and state.run.stopped.failed


async def test_a_launch_right_after_a_stop_is_one(tmp_path: Path, spec: ModelSpec) -> None:
    async with running(tmp_path, 1, spec) as cluster:
        await until(cluster, planned_on("demo-a"))
        seen: set[str] = set()
        for _ in range(2):
            cluster.launch()
            state = await until(cluster, lambda state: state.run is not None and state.run.id not in seen)
            assert state.run is not None
            seen.add(state.run.id)
            cluster.stop()
            await until(cluster, lambda state: state.run is not None and not state.run.live)


async def test_a_launch_that_is_stopped_ends_its_prompt_and_is_no_error(
    tmp_path: Path, spec: ModelSpec
) -> None:
    async with running(tmp_path, 1, spec) as cluster:
        await until(cluster, planned_on("demo-a"))
        cluster.ask("Anybody there?")
        await until(cluster, lambda state: state.run is not None)
        cluster.stop()
        state = await until(cluster, lambda state: state.active is None)
        [request] = state.requests.values()
        assert request.done is not None
        assert (request.done.why, request.done.detail) == ("cancel", "you stopped it")
        launch = cluster._launching
        assert launch is not None
        async with asyncio.timeout(LIMIT):
            await asyncio.wait({launch})
        assert launch.exception() is None
    assert [alert.text for alert in cluster.bus.state.alerts if alert.level == "error"] == []


async def test_without_a_plan_a_prompt_is_not_taken(tmp_path: Path, spec: ModelSpec) -> None:
    async with running(tmp_path, 0, spec) as cluster:
        cluster.ask("Anybody there?")
        assert cluster.bus.state.requests == {}
        assert cluster.bus.state.alerts[-1].text == "there is no plan yet"


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_an_added_peer_is_a_device_once(tmp_path: Path, withdrawn: bool) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]  # bound and not listening: nobody answers
        async with running(tmp_path, 0) as cluster:
            peer = ev.PeerSeen(
                t=0, key="k", name="mini", host="mini.local", addresses=("127.0.0.1",), port=port,
                services=("_ssh._tcp",),
            )  # fmt: skip
            cluster.bus.publish(peer)
            if withdrawn:  # while its form was filled in
                cluster.bus.publish(ev.PeerLost(t=0, key="k"))
            cluster.add(peer, Wanted(name="mini"))
            state = await until(
                cluster, lambda state: "mini" in state.devices and state.devices["mini"].status == "lost"
            )
            mini = state.devices["mini"]
            assert (mini.address, mini.peer) == ("mini.local", "k")
            assert mini.detail == f"mini.local:{port} refuses SSH connections; is Remote Login on?"
            cluster.add(peer, Wanted(name="mini"))
            assert cluster.bus.state.alerts[-1].text == "is in the cluster already"


async def test_a_listener_that_breaks_is_said_and_nothing_ends_by_it(tmp_path: Path) -> None:
    async with running(tmp_path, 0) as cluster:

        def fail(event: ev.AnyEvent) -> None:
            if isinstance(event, ev.Tick):
                raise RuntimeError("out of\nluck")

        cluster.bus.subscribe(fail)
        state = await until(cluster, lambda state: any(a.subject == "console" for a in state.alerts))
        [told] = [alert.text for alert in state.alerts if alert.subject == "console"]
        assert told.startswith("RuntimeError in test_cluster.py:") and told.endswith(": out of luck")
        await until(cluster, lambda later: later.ticked > state.now)


async def test_the_model_that_is_chosen_is_the_one_that_is_served_and_stays_it(
    tmp_path: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXO_TUI_TOKEN", raising=False)
    other = modelfiles.model(tmp_path / "other", modelfiles.LLAMA, modelfiles.llama())
    async with running(tmp_path, 0, spec) as cluster:
        cluster.bus.publish(ev.RecoveryChanged(t=time.time(), stage="waiting", text="for a device"))
        cluster.library.use(str(other))
        state = await until(cluster, lambda state: any(alert.subject == "model" for alert in state.alerts))
        assert state.alerts[-1].text == "the failed run is being recovered from; stop that first"
        assert state.model == spec
        cluster.bus.publish(ev.RecoveryChanged(t=time.time(), stage="declined", text="given up"))
        cluster.library.use(str(other))
        await until(cluster, lambda state: state.model is not None and state.model.name == "other")

        cluster.serve()
        state = await until(cluster, lambda state: state.api is not None)
        assert state.api is not None
        answer = await asyncio.to_thread(urlopen, f"{state.api.url}/models", timeout=LIMIT)
        with answer:
            assert json.load(answer)["data"][0]["id"] == "other"
        cluster.library.use(spec.path)
        state = await until(cluster, lambda state: state.api is None)
        assert "other is served no more; model can be" in [alert.text for alert in state.alerts]


async def test_a_split_asked_for_one_model_is_not_asked_of_the_next(tmp_path: Path, spec: ModelSpec) -> None:
    config = modelfiles.LLAMA | {"num_hidden_layers": 3}
    other = modelfiles.model(tmp_path / "other", config, modelfiles.llama(layers=3))
    async with running(tmp_path, 2, spec, Wish(split=(1, 1), context=64)) as cluster:
        await until(cluster, planned_on("demo-a", "demo-b"))
        cluster.library.use(str(other))
        state = await until(cluster, lambda state: state.plan is not None and state.plan.layers == 3)
        assert state.plan is not None and state.plan.context == 64


async def test_whoever_comes_second_to_an_unknown_device_does_not_ask_again(tmp_path: Path) -> None:
    rehearsal, asked = Rehearsal(1), asyncio.Event()

    def hear(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.TrustAsked):
            asked.set()

    await rehearsal.start()
    try:
        async with asyncio.timeout(LIMIT):
            target = rehearsal.target(rehearsal.ports["demo-a"])
            door = Door("demo-a", target, HostKeys(tmp_path / "known_hosts"), hear)
            both = [asyncio.create_task(door.open()) for _ in range(2)]
            await asked.wait()
            asked.clear()
            door.answer(True)
            for machine in await asyncio.gather(*both):
                await machine.close()
        assert not asked.is_set()
    finally:
        await rehearsal.close()


def test_a_device_whose_host_key_is_being_asked_about_is_not_provisioned_meanwhile() -> None:
    seen = ev.DeviceSeen(t=1.0, device="mini", name="mini", address="mini.local", status="untrusted")
    state = apply(ClusterState(), seen)
    assert why_not_provision(state, "mini") == "its host key waits for your answer"
