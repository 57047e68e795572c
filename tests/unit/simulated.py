"""A cluster that is as fast as it is told to be, for what measures one."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from msgspec.structs import replace

from core import events as ev
from core.bus import Bus
from core.plan.check import Held, certify
from core.plan.plan import Host, Plan
from core.request import Prompt, Sampling, Source
from tests.unit.benches import SPEC

GIB = 2**30
HOSTS = [Host("a", 8 * GIB), Host("b", 8 * GIB)]
DEEP = replace(SPEC, layers=16, layer_bytes=(100,) * 16, kv_bytes=(16,) * 16, windows=(None,) * 16)


class Simulated:
    """A cluster whose tokens take `token_s(split)`, a little more or less; no time passes in truth."""

    def __init__(self, token_s: Callable[[tuple[int, ...]], float], lies: tuple[int, ...] = ()) -> None:
        self.bus = Bus()
        self._token_s, self._lies = token_s, lies
        self._random = random.Random(1)
        self._plan: Plan | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.launched: list[tuple[int, ...]] = []

    def take(self, plan: Plan) -> None:
        self.bus.publish(ev.PlanTaken(t=time.time(), plan=plan))

    def automatic(self) -> None:
        self.bus.publish(ev.PlanReleased(t=time.time()))

    def launch(self) -> None:
        plan = self.bus.state.plan
        assert plan is not None
        self.launched.append(plan.split)
        run, now = f"run{len(self.launched)}", time.time()
        self.bus.publish(ev.RunStarted(t=now, run=run, plan=plan))
        held = [Held(i, s.device, s.start, s.end, "00" * 32) for i, s in enumerate(plan.stages)]
        self.bus.publish(ev.RunReady(t=now, run=run, certificate=certify(plan, held), seconds=1.0))

    def stop(self) -> None:
        run = self.bus.state.run
        assert run is not None
        self.bus.publish(ev.RunStopped(t=time.time(), run=run.id, failed=False, reason=""))

    def submit(self, prompt: Prompt, sampling: Sampling, source: Source) -> str:
        run = self.bus.state.run
        assert run is not None and prompt.tokens is not None
        request, now = f"q{self._random.random()}", time.time()
        self.bus.publish(ev.RequestStarted(t=now, request=request, conversation="", prompt="", source=source))
        task = asyncio.create_task(self._answer(request, list(prompt.tokens), sampling.max_tokens, now))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return request

    async def _answer(self, request: str, prompt: list[int], count: int, now: float) -> None:
        run = self.bus.state.run
        assert run is not None
        split = run.plan.split
        each = self._token_s(split) * self._random.gauss(1, 0.01)
        shift = 1 if split == self._lies else 0
        for i in range(count):
            t = now + (i + 1) * each
            self.bus.publish(ev.TokensStreamed(t=t, request=request, ids=(sum(prompt) + i + shift,), text=""))
        for rank in range(len(run.plan.stages)):
            told = ev.RankTimed(t=t, request=request, rank=rank, compute_s=each, wait_s=each, steps=1, peak=1)
            self.bus.publish(told)
        done = ev.RequestDone(t=t, request=request, why="length", prompt_tokens=len(prompt), tokens=count)
        self.bus.publish(done)

    def withdraw(self, request: str) -> None:
        raise AssertionError(f"nobody withdraws {request}")
