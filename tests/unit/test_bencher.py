"""How often a point is repeated: until it is known, and for long enough."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from core import events as ev
from core.bench.bencher import Bencher
from core.bench.metrics import Trial
from core.bench.session import Benches
from core.bench.suite import Repeats, Suite
from core.models.spec import read
from core.plan.plan import Plan
from core.plan.propose import propose, split
from core.request import Prompt, Sampling, Source
from core.shelf import Shelf
from core.state.fold import ALERTS
from tests.unit import modelfiles
from tests.unit.simulated import DEEP, HOSTS, Simulated

LIMIT = 30.0
ONE = propose(DEEP, HOSTS, [], 4096)


async def measured(suite: Suite, token_s: float) -> tuple[list[Trial], list[Trial]]:
    """The warm-ups of a suite, and the trials that count."""
    bencher = Bencher(Simulated(lambda _: token_s), suite, [("auto", ONE)], DEEP.vocabulary)
    await bencher.run()
    trials = bencher.trials
    return [t for t in trials if t.warmup], [t for t in trials if not t.warmup]


async def test_short_answers_are_repeated_until_they_took_long_enough() -> None:
    warm, counted = await measured(Suite(name="s", generate=(10,)), token_s=0.02)  # 0.2 s each
    assert 3.0 <= sum(t.seconds for t in warm) < 3.3
    assert 5.0 <= sum(t.seconds for t in counted) < 5.3
    assert len({t.answers[0].ids_sha256 for t in (*warm, *counted)}) == len(warm) + len(counted)


async def test_long_answers_are_repeated_as_often_as_the_suite_says() -> None:
    repeats = Repeats(least=2, most=4, precision=0.0001)
    warm, counted = await measured(Suite(name="s", generate=(10,), repeats=repeats), token_s=1.0)
    assert (len(warm), len(counted)) == (1, 4)
    warm, counted = await measured(
        Suite(name="s", generate=(10,), repeats=Repeats(least=2, most=9, precision=0.5)), token_s=1.0
    )
    assert (len(warm), len(counted)) == (1, 2)


class Listening(Simulated):
    """Keeps what it is asked: the prompt, and how many tokens are to be answered."""

    def __init__(self) -> None:
        super().__init__(lambda _: 1.0)
        self.asked: list[tuple[list[int], int]] = []

    def submit(self, prompt: Prompt, sampling: Sampling, source: Source) -> str:
        self.asked.append((list(prompt.tokens or ()), sampling.max_tokens))
        return super().submit(prompt, sampling, source)


async def test_a_context_is_sent_again_before_each_trial_as_others_may_have_taken_its_place() -> None:
    ground, repeats = Listening(), Repeats(least=2, most=2, precision=0.5)
    suite = Suite(
        name="s", prompt=(4,), depth=(6, 8), generate=(10,), concurrency=(2,), warm_s=0.0, repeats=repeats
    )
    await Bencher(ground, suite, [("auto", ONE)], DEEP.vocabulary).run()
    trials = [ground.asked[i : i + 4] for i in range(0, len(ground.asked), 4)]
    assert len(trials) == 2 * (1 + 2)  # two depths, warm-up and two repeats
    for trial in trials:
        contexts, prompts = [tokens for tokens, _ in trial[:2]], [tokens for tokens, _ in trial[2:]]
        assert [count for _, count in trial] == [1, 1, 10, 10]
        assert contexts == [tokens[:-4] for tokens in prompts]
        assert contexts[0][0] != contexts[1][0]


class Mortal(Simulated):
    """Its first run fails with the second answer, and is waited for as a recovery does."""

    def __init__(self, back: bool) -> None:
        super().__init__(lambda _: 1.0)
        self._back = back
        self.asked = 0

    def launch(self) -> None:
        if self.bus.state.recovering:
            self._refuse()
        else:
            super().launch()

    def _refuse(self) -> None:
        self.bus.publish(ev.Alert(t=time.time(), level="warning", subject="launch", text="not now"))

    def stop(self) -> None:
        state = self.bus.state
        if state.recovering:
            self.bus.publish(ev.RecoveryChanged(t=time.time(), stage="declined", text="given up"))
        if state.run is not None and state.run.live:
            super().stop()

    def submit(self, prompt: Prompt, sampling: Sampling, source: Source) -> str:
        self.asked += 1
        if self.asked != 2:
            return super().submit(prompt, sampling, source)
        run, now, request = self.bus.state.run, time.time(), "lost"
        assert run is not None
        self.bus.publish(ev.RequestStarted(t=now, request=request, conversation="", prompt="", source=source))
        self.bus.publish(ev.RecoveryChanged(t=now, stage="launching", text=""))
        self.bus.publish(ev.RunStopped(t=now, run=run.id, failed=True, reason="lost"))
        if self._back:
            super().launch()
            self.bus.publish(ev.RecoveryChanged(t=now, stage="done", text=""))
        return request


@pytest.mark.parametrize("back", [False, True], ids=["waits", "went on"])
async def test_a_lost_run_costs_its_own_plan_and_no_other(back: bool) -> None:
    ground = Mortal(back)
    suite = Suite(name="s", generate=(10,), warm_s=0.0, repeats=Repeats(least=2, most=2, precision=0.5))
    other = split(DEEP, HOSTS, [4, 12], 4096)
    plans = [("lost", split(DEEP, HOSTS, [8, 8], 4096)), ("other", other)]
    bencher = Bencher(ground, suite, plans, DEEP.vocabulary)
    async with asyncio.timeout(LIMIT):
        await bencher.run()
    counted = [(trial.plan, trial.split) for trial in bencher.trials if not trial.warmup]
    assert counted == [("other", "a 4 / b 12")] * 2


class Refusing(Simulated):
    """Refuses every launch, among so many alerts that the oldest go."""

    def launch(self) -> None:
        for text in ("it is not ready", "something else"):
            subject = "launch" if text == "it is not ready" else "link"
            self.bus.publish(ev.Alert(t=time.time(), level="warning", subject=subject, text=text))


async def test_a_launch_that_is_refused_is_noticed_however_many_alerts_there_are() -> None:
    ground = Refusing(lambda _: 1.0)
    for _ in range(ALERTS):
        ground.bus.publish(ev.Alert(t=time.time(), level="warning", subject="launch", text="of before"))
    bencher = Bencher(ground, Suite(name="s"), [("auto", ONE)], DEEP.vocabulary)
    async with asyncio.timeout(LIMIT):
        await bencher.run()
    progress = ground.bus.state.bench
    assert progress is not None and not progress.live
    assert "auto: it is not ready" in [alert.text for alert in ground.bus.state.alerts]


class Late(Simulated):
    """Memory is back a moment after a plan is taken, and launches are refused till then."""

    def take(self, plan: Plan) -> None:
        super().take(replace(plan, obstacle="a is short of memory"))
        asyncio.get_running_loop().call_soon(super().take, plan)

    def launch(self) -> None:
        plan = self.bus.state.plan
        if plan is not None and plan.obstacle:
            self.bus.publish(ev.Alert(t=time.time(), level="warning", subject="launch", text=plan.obstacle))
        else:
            super().launch()


async def test_memory_that_comes_back_late_costs_no_plan() -> None:
    ground = Late(lambda _: 1.0)
    bencher = Bencher(ground, Suite(name="s", generate=(10,)), [("auto", ONE)], DEEP.vocabulary)
    async with asyncio.timeout(LIMIT):
        await bencher.run()
    assert ground.launched == [ONE.split] and bencher.trials


async def test_a_suite_is_begun_once_and_can_be_ended_before_it_has(tmp_path: Path) -> None:
    spec = read(modelfiles.model(tmp_path, modelfiles.LLAMA, modelfiles.llama()))
    ground = Simulated(lambda _: 1.0)
    ground.bus.publish(ev.ModelChosen(t=1.0, spec=spec))
    ground.bus.publish(ev.PlanChosen(t=2.0, plan=propose(spec, HOSTS[:1], [], 4096)))
    begun: list[ev.AnyEvent] = []
    ground.bus.subscribe(lambda event: begun.append(event) if isinstance(event, ev.BenchStarted) else None)
    benches, suite = Benches(ground, Shelf(tmp_path / "none")), Suite(name="s", generate=(10,))
    async with asyncio.timeout(LIMIT):
        early = asyncio.create_task(benches.run(suite))
        await asyncio.sleep(0)  # now it is under way, and has yet to read the model
        benches.abort()
        await early
        assert not begun
        await asyncio.gather(benches.run(suite), benches.run(suite))
    assert len(begun) == 1
    assert [alert.text for alert in ground.bus.state.alerts] == ["a suite is being measured"]
