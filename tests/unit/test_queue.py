"""What becomes of requests when the run that answers them fails."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from core import events as ev
from core.bus import Bus
from core.config import Recover
from core.models.spec import ModelSpec, read
from core.plan.plan import Plan, Stage
from core.request import Prompt, Sampling
from core.run.launch import Begun, Run
from core.run.queue import Asked, Queue
from core.run.recover import Recovery
from tests.unit import modelfiles

PLAN = Plan(model="toy", layers=2, stages=(Stage("a", 0, 2),), context=128, backend="sockets")
NO_MACHINE: Any = object()


class Ranks(Run):
    """A run without workers, which keeps in mind what it is asked for."""

    def __init__(self, spec: ModelSpec, bus: Bus) -> None:
        super().__init__(PLAN, spec, {"a": NO_MACHINE}, bus.publish)
        self.asked: list[str] = []

    def generate(self, request: str, prompt: Prompt, sampling: Sampling, begun: Begun | None = None) -> None:
        super().generate(request, prompt, sampling, begun)
        self.asked.append(request)


class Desk:
    """A queue, what recovers it, and the run there is."""

    def __init__(self, spec: ModelSpec, policy: str) -> None:
        self.bus = Bus()
        self._spec = spec
        self.queue = Queue(self.bus)
        how = Recover(policy=policy, wait=0.0)  # type: ignore[arg-type]
        self.recovery = Recovery(self.bus, self.queue, how, self._make, self._launch)
        for one in (self.queue, self.recovery):
            self.bus.subscribe(one.consider)
        self.run = self._start()

    async def _make(self, _: Collection[str]) -> Plan:
        return PLAN

    def _start(self) -> Ranks:
        run = Ranks(self._spec, self.bus)
        self.bus.publish(ev.RunStarted(t=1, run=run.id, plan=PLAN))
        return run

    async def _launch(self, _: Plan) -> None:
        self.run = self._start()
        self.queue.put_all(self.run)

    def ask(self, *requests: str, tokens: Collection[str] = ()) -> None:
        for request in requests:
            self.bus.publish(
                ev.RequestStarted(t=1, request=request, conversation="", prompt="hi", source="api")
            )
            self.queue.add(request, Asked(Prompt(prompt="hi"), Sampling()))
            self.queue.put(request, self.run)
            if request in tokens:
                self.run._hear(ev.TokensStreamed(t=2, request=request, ids=(1,), text="One"))

    async def fail(self) -> None:
        """Rank 0 hangs, is blamed, and the run is ended; returns when all that follows is over."""
        text = "rank 0 on a has stopped"
        self.bus.publish(
            ev.RunBlamed(t=3, run=self.run.id, fault="stopped", rank=0, device="a", doing="decode", text=text)
        )
        await self.run.stop(text, failed=True)
        async with asyncio.timeout(30):
            await self.bus.until(lambda state: not state.recovering)

    def why(self, request: str) -> str:
        done = self.bus.state.requests[request].done
        return done.why if done is not None else ""


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    return read(modelfiles.model(tmp_path / "model", modelfiles.LLAMA, modelfiles.llama()))


@pytest.mark.parametrize("policy", ["automatic", "off"])
async def test_an_answer_that_was_ended_while_its_ranks_hang_does_not_come_back(
    spec: ModelSpec, policy: str
) -> None:
    desk = Desk(spec, policy)
    try:
        desk.ask("ended", "wanted", tokens=("ended", "wanted"))
        desk.queue.withdraw("ended", desk.run)
        assert desk.why("ended") == "", "the ranks are to end it, after the token being made"
        await desk.fail()
        assert desk.why("ended") == "cancel"
        if policy == "automatic":
            assert desk.run.asked == ["wanted"]
        else:
            assert desk.why("wanted") == "error"
    finally:
        await desk.recovery.close()


async def test_an_answer_that_was_ended_can_be_gone_on_with_and_outlives_its_run_again(
    spec: ModelSpec,
) -> None:
    desk = Desk(spec, "automatic")
    try:
        desk.ask("r", tokens=("r",))
        desk.queue.withdraw("r", desk.run)
        desk.run._hear(ev.RequestDone(t=3, request="r", why="cancel", tokens=1))
        desk.queue.reopen("r")
        desk.queue.add("r", Asked(Prompt(prompt="hi"), Sampling()))
        desk.queue.put("r", desk.run)
        await desk.fail()
        assert (desk.why("r"), desk.run.asked) == ("", ["r"])
    finally:
        await desk.recovery.close()


async def test_the_queue_keeps_its_order_over_a_failure(spec: ModelSpec) -> None:
    desk = Desk(spec, "automatic")
    try:
        desk.ask("p1", "p2", "w1", "w2", tokens=("p1", "p2"))
        desk.bus.publish(ev.QueueOrdered(t=2, requests=("w2", "w1")))
        order = [one.id for one in desk.bus.state.queue]
        assert order == ["p1", "p2", "w2", "w1"]
        await desk.fail()
        assert desk.run.asked == order
        assert [one.id for one in desk.bus.state.queue] == order
    finally:
        await desk.recovery.close()


def test_a_finished_answer_stays_what_it_is(spec: ModelSpec) -> None:
    desk = Desk(spec, "automatic")
    desk.ask("r", tokens=("r",))
    desk.run._hear(ev.RequestDone(t=3, request="r", why="stop", tokens=1, decode_tps=9.0))
    finished = desk.bus.state.requests["r"].done
    desk.queue.withdraw("r", desk.run)
    desk.queue.end("error", "the run is gone")
    assert desk.bus.state.requests["r"].done == finished
