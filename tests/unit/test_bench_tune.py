"""The search for the best split, on a cluster that is as fast as it is told to be."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from core import events as ev
from core.bench.bencher import Bencher, BenchError
from core.bench.contenders import Contenders
from core.bench.suite import Suite
from core.bench.tune import SUITE, Tuned, Tuner, around
from core.bus import Bus
from core.plan.check import Held, certify
from core.plan.plan import Host, Plan
from core.plan.propose import propose
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


MADE = Contenders(DEEP, HOSTS, [], 4096, "sockets", propose(DEEP, HOSTS, [], 4096))
BASE = dict(MADE.of(Suite(name="s", plans=("even",))))["even"]
SINGLE = dict(MADE.of(Suite(name="s", plans=("single",))))["single"]


def remade(counts: tuple[int, ...]) -> Plan:
    return Contenders(DEEP, HOSTS, [], 4096, "sockets", BASE).again(list(counts))


async def search(ground: Simulated, single: Plan | None = SINGLE) -> Tuned:
    bencher = Bencher(ground, SUITE, [], DEEP.vocabulary)
    return await Tuner(bencher, BASE, single, remade).run()


def slow_second_device(split: tuple[int, ...]) -> float:
    """Seconds a token where the second device takes four times as long for a layer."""
    return 0.01 * split[0] + 0.04 * (split[1] if len(split) > 1 else 0)


async def test_the_search_finds_the_fast_split_and_proves_it() -> None:
    found = await search(Simulated(slow_second_device))
    assert found.planned == (8, 8)
    assert found.best[1] <= 2 and sum(found.best) == 16
    assert found.gain is not None and found.gain.verdict == "faster"
    assert found.reference == "a single process on a"


async def test_where_all_splits_are_alike_the_planners_stays() -> None:
    ground = Simulated(lambda split: 0.1)
    found = await search(ground)
    assert (found.best, found.gain) == ((8, 8), None)
    assert all(tried.effect is not None and tried.effect.verdict != "faster" for tried in found.tried)
    assert max(ground.launched.count(split) for split in set(ground.launched)) <= 4


async def test_a_split_that_writes_another_text_is_refused_however_fast() -> None:
    fast = (10, 6)
    found = await search(Simulated(lambda split: 0.01 if split == fast else 0.1, lies=fast))
    assert found.best == (8, 8)
    [refused] = [tried for tried in found.tried if tried.refused]
    assert refused.split == fast and "another greedy text" in refused.refused


async def test_without_a_device_for_the_whole_model_the_planners_text_counts() -> None:
    fast = (10, 6)
    found = await search(Simulated(lambda split: 0.05 if split == fast else 0.1), single=None)
    assert found.best == fast
    assert found.reference.startswith("the planner's plan")


async def test_a_planners_plan_that_writes_another_text_ends_the_search() -> None:
    with pytest.raises(BenchError, match="the planner's plan wrote another greedy text"):
        await search(Simulated(lambda split: 0.1, lies=(8, 8)))


def test_around_a_split_are_all_moves_between_neighbours() -> None:
    assert list(around((3, 2, 1), 1)) == [(2, 3, 1), (4, 1, 1), (3, 1, 2)]
    assert list(around((1, 1), 1)) == []
