"""A run that is stopped at an awkward moment leaves nothing: no worker, no blame, no recovery."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core import events as ev
from core.bus import Bus
from core.config import Recover
from core.models.spec import ModelSpec, read
from core.options import Options
from core.plan.plan import Host, Plan
from core.plan.propose import propose
from core.remote.local import LocalMachine, LocalPort, LocalProcess
from core.remote.machine import LOOPBACK, Port, Taken
from core.request import Prompt, Sampling
from core.run.launch import LaunchError, Run
from core.run.queue import Asked, Queue
from core.run.rank import Rank
from core.run.recover import Recovery
from core.run.tunnels import Tunnels
from core.run.watch import Limits, verdict
from tests.e2e.processes import GUARD, below
from tests.unit import modelfiles

LIMIT = 60.0


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    return read(modelfiles.model(tmp_path / "model", modelfiles.LLAMA, modelfiles.llama()))


@pytest.fixture
def plan(spec: ModelSpec) -> Plan:
    return propose(spec, [Host("here", 8 * 2**30)], [], 4096)


class Hesitant(LocalMachine):
    """Stands still at one step until it is `told` to go on."""

    def __init__(self, folder: Path, step: str) -> None:
        super().__init__(sys.executable, folder)
        self.step = step
        self.there, self.told = asyncio.Event(), asyncio.Event()
        self.ports: list[Port] = []

    async def _reached(self, step: str) -> None:
        if step == self.step:
            self.there.set()
            await self.told.wait()

    async def has(self, path: str) -> bool:
        await self._reached("look")
        if self.step == "look":
            raise OSError("what was looked for is of no interest any more")
        return await super().has(path)

    async def start(self, argv: Sequence[str], folder: str | None = None) -> LocalProcess:
        await self._reached("start" if "worker/guard.py" in argv else "compare")
        return await super().start(argv, folder)

    async def listen(self, taken: Taken) -> LocalPort:
        await self._reached("listen")
        port = await super().listen(taken)
        self.ports.append(port)
        return port


@pytest.mark.parametrize("step", ["look", "compare", "start"])
async def test_a_launch_that_is_stopped_on_the_way_ends_with_all_it_has_started(
    step: str, spec: ModelSpec, plan: Plan, tmp_path: Path
) -> None:
    machine, told = Hesitant(tmp_path, step), list[ev.AnyEvent]()
    run = Run(plan, spec, {"here": machine}, told.append)
    async with asyncio.timeout(LIMIT):
        starting = asyncio.create_task(run.start())
        await machine.there.wait()
        stopping = asyncio.create_task(run.stop("you stopped it"))
        machine.told.set()
        await stopping
        assert not below(GUARD)
        with pytest.raises(LaunchError):
            await starting
    assert not below(GUARD)
    assert isinstance(told[-1], ev.RunStopped) and not told[-1].failed
    assert not any(isinstance(event, ev.RunBlamed) for event in told)


async def test_a_tunnel_that_is_there_only_after_the_stop_is_closed(tmp_path: Path) -> None:
    machine, tunnels = Hesitant(tmp_path, "listen"), Tunnels()
    async with asyncio.timeout(LIMIT):
        opening = asyncio.create_task(tunnels.open([machine, machine], [1, 2]))
        await machine.there.wait()
        await tunnels.close()
        machine.told.set()
        with pytest.raises(OSError, match="it was stopped"):
            await opening
    [port] = machine.ports
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, port.number)


async def test_how_long_the_model_took_to_come_is_not_held_against_a_rank(tmp_path: Path) -> None:
    rank = Rank("run-1", 0, "here", LocalMachine(sys.executable, tmp_path), lambda _: None)
    try:
        rank.forgive(-3600.0)
        assert verdict([rank.facts()], Limits()) is not None
        await rank.start({"rank": 0, "size": 1}, Options())
        assert verdict([rank.facts()], Limits()) is None
    finally:
        await rank.stop(LIMIT)


async def test_a_stop_while_a_failed_run_ends_is_not_recovered_from(plan: Plan) -> None:
    bus = Bus()
    queue = Queue(bus)

    async def never(_: object) -> Any:
        raise AssertionError("nobody wants another run")

    recovery = Recovery(bus, queue, Recover(wait=LIMIT), never, never)
    bus.subscribe(queue.consider)
    bus.subscribe(recovery.consider)
    bus.publish(ev.RunStarted(t=1.0, run="r", plan=plan))
    bus.publish(ev.RequestStarted(t=2.0, request="q", conversation="", prompt="Hello"))
    queue.add("q", Asked(Prompt(prompt="Hello"), Sampling()))
    bus.publish(
        ev.RunBlamed(t=3.0, run="r", fault="killed", rank=0, device="here", doing="decode", text="killed")
    )
    assert bus.state.recovering
    recovery.stop()
    bus.publish(ev.RunStopped(t=4.0, run="r", failed=True, reason="killed"))
    await asyncio.sleep(0)  # now a recovery would begin to wait for the device
    assert not bus.state.recovering
    done = bus.state.requests["q"].done
    assert done is not None and done.why == "cancel"
    await recovery.close()
