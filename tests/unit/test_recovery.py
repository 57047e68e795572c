"""When it is no use to go on after a failed run, and that this is said."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from core import events as ev
from core.bus import Bus
from core.config import Recover
from core.models.spec import read
from core.plan.check import Certificate
from core.plan.plan import Plan, PlanError, Stage
from core.request import Prompt, Sampling
from core.run import recover
from core.run.launch import LaunchError, Run
from core.run.queue import Asked, Queue
from core.run.recover import Recovery
from tests.unit import modelfiles

PROOF = Certificate(layers=4, held=(), plan_sha256="", held_sha256="")
PLAN = Plan(model="toy", layers=4, stages=(Stage("a", 0, 4),), context=128, backend="sockets")
UNLIKE = "rank 0 on a has mlx 1, rank 1 on b has mlx 2"


def _run(bus: Bus, name: str, why: str, fault: ev.Fault = "killed") -> None:
    """One that has failed; where no reason is given, by its rank's fault."""
    bus.publish(ev.RunStarted(t=1, run=name, plan=PLAN))
    if not why:
        blamed = "rank 0 on a was killed"
        bus.publish(ev.RunBlamed(t=2, run=name, fault=fault, rank=0, device="a", doing="load", text=blamed))
    bus.publish(ev.RunStopped(t=3, run=name, failed=True, reason=why))


def asked(bus: Bus, queue: Queue, launch: recover.Launch) -> Recovery:
    """A recovery with one plan to go on with, and a request that waits for its answer."""

    async def make(_: Collection[str]) -> Plan:
        return PLAN

    recovery = Recovery(bus, queue, Recover(wait=0.0), make, launch)
    for one in (queue, recovery):
        bus.subscribe(one.consider)
    bus.publish(ev.RequestStarted(t=0, request="r", conversation="", prompt="hi", source="api"))
    queue.add("r", Asked(Prompt(prompt="hi"), Sampling()))
    return recovery


@pytest.mark.parametrize("error", [LaunchError(UNLIKE), ZeroDivisionError("division by zero")])
async def test_a_relaunch_that_fails_by_nobodys_fault_is_the_last(error: Exception) -> None:
    bus, launched = Bus(), 0
    queue = Queue(bus)

    async def launch(_: Plan) -> None:
        nonlocal launched
        launched += 1
        _run(bus, "second", str(error))
        raise error

    recovery = asked(bus, queue, launch)
    try:
        _run(bus, "first", "")
        async with asyncio.timeout(30):
            state = await bus.until(lambda state: not state.recovering)
    finally:
        await recovery.close()
    assert state.recovery is not None
    assert (state.recovery.stage, launched) == ("failed", 1)
    assert state.recovery.text.endswith(str(error))
    done = state.requests["r"].done
    assert done is not None and done.why == "error" and done.detail.endswith(str(error))


@pytest.mark.parametrize("first", ["refused", "killed"])
async def test_what_a_rank_refuses_is_not_asked_of_it_again(first: ev.Fault) -> None:
    bus, launched = Bus(), 0
    queue = Queue(bus)

    async def launch(_: Plan) -> None:
        nonlocal launched
        launched += 1
        _run(bus, "second", "", "refused")
        raise LaunchError("rank 0 on a was killed")

    recovery = asked(bus, queue, launch)
    try:
        _run(bus, "first", "", first)
        async with asyncio.timeout(30):
            state = await bus.until(lambda state: state.requests["r"].done and not state.recovering)
    finally:
        await recovery.close()
    assert launched == (first == "killed")
    done = state.requests["r"].done
    assert done is not None and done.why == "error"


async def test_a_device_that_came_back_during_a_launch_is_offered_once_that_is_ready() -> None:
    bus = Bus()
    queue = Queue(bus)
    both = Plan(
        model="toy", layers=4, stages=(Stage("a", 0, 2), Stage("b", 2, 4)), context=128, backend="sockets"
    )

    def seen(device: str, status: ev.DeviceStatus) -> None:
        bus.publish(ev.DeviceSeen(t=1, device=device, name=device, address="", status=status))

    async def launch(plan: Plan) -> None:
        bus.publish(ev.RunStarted(t=4, run="second", plan=plan))
        seen("b", "ready")
        assert bus.state.offered == ()
        bus.publish(ev.RunReady(t=5, run="second", certificate=PROOF, seconds=1.0))

    async def make(_: Collection[str]) -> Plan:
        return PLAN

    recovery = Recovery(bus, queue, Recover(wait=0.0), make, launch)
    for one in (queue, recovery):
        bus.subscribe(one.consider)
    seen("a", "ready")
    seen("b", "ready")
    bus.publish(ev.RunStarted(t=1, run="first", plan=both))
    seen("b", "lost")
    bus.publish(
        ev.RunBlamed(t=2, run="first", fault="lost", rank=1, device="b", doing="decode", text="b was lost")
    )
    bus.publish(ev.RunStopped(t=3, run="first", failed=True, reason="b was lost"))
    try:
        async with asyncio.timeout(30):
            await bus.until(
                lambda state: state.offered == ("b",) and any("is back" in a.text for a in state.alerts)
            )
        bus.publish(ev.RunStopped(t=6, run="second", failed=False, reason="you stopped it"))
        bus.publish(ev.RunStarted(t=7, run="third", plan=PLAN))
        bus.publish(ev.RunReady(t=8, run="third", certificate=PROOF, seconds=1.0))
        assert bus.state.offered == (), "who launched this one wanted it so"
    finally:
        await recovery.close()


async def test_a_launch_that_breaks_of_a_defect_ends_its_run(tmp_path: Path) -> None:
    bus = Bus()
    spec = read(modelfiles.model(tmp_path / "model", modelfiles.LLAMA, modelfiles.llama()))
    no_machine: Any = object()
    with pytest.raises(AttributeError):
        await Run(PLAN, spec, {"a": no_machine}, bus.publish).start()
    run = bus.state.run
    assert run is not None and run.stopped is not None and run.stopped.failed
    assert run.stopped.reason.startswith("AttributeError: ")


async def test_after_it_was_given_up_nothing_is_held_against_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recover, "FRESH_S", 0.0)
    bus, launched = Bus(), list[Plan]()
    both = Plan(
        model="toy", layers=4, stages=(Stage("a", 0, 2), Stage("b", 2, 4)), context=128, backend="sockets"
    )

    async def make(_: Collection[str]) -> Plan:
        raise PlanError("no device is left")

    async def launch(plan: Plan) -> None:
        launched.append(plan)

    async def fails(run: str, device: str, fault: ev.Fault, doing: ev.Doing) -> str:
        bus.publish(ev.RunStarted(t=1, run=run, plan=both))
        told = ev.RunBlamed(t=2, run=run, fault=fault, rank=0, device=device, doing=doing, text="it failed")
        bus.publish(told)
        bus.publish(ev.RunStopped(t=3, run=run, failed=True, reason="it failed"))
        async with asyncio.timeout(30):
            state = await bus.until(lambda state: not state.recovering)
        assert state.recovery is not None
        return state.recovery.text

    recovery = Recovery(bus, Queue(bus), Recover(wait=0.0), make, launch)
    bus.subscribe(recovery.consider)
    for device in ("a", "b"):
        bus.publish(ev.DeviceSeen(t=0, device=device, name=device, address="x", status="ready"))
        bus.publish(ev.DeviceSample(t=0, device=device, memory_total=8, memory_used=3, memory_limit=6))
    try:
        for number in range(recover.MOST + 1):  # a person launches each of them
            assert "nothing fits" in await fails(f"full{number}", "b", "failed", "starting")
        for number in range(recover.MOST + 1):
            await fails(f"no{number}", "b", "refused", "load")
        await fails("mended", "a", "killed", "decode")
    finally:
        await recovery.close()
    assert launched == [both], "b starts ranks again"
