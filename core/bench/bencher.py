"""Runs a suite on a live cluster: plan by plan, launch by launch, until every point is known well enough."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Literal, Protocol

from core import events as ev
from core.bench.collect import Collector
from core.bench.metrics import Trial
from core.bench.suite import Point, Suite
from core.bench.table import enough
from core.bus import Bus
from core.circumstances import FRESH_S
from core.plan.plan import Plan
from core.request import NotTaken, Prompt, Sampling, Source
from core.state import ClusterState

STOP_S = 30.0
"""For a run to be gone."""
TOLD_S = 3.0
"""For every rank to say where its time went, which it does right after an answer."""
PRICED_S = 2.0
"""For the forecast of a plan, which is recorded with it."""
FAILURES = 3
"""Failed trials of a plan in a row after which it is given up."""


class Ground(Protocol):
    """What a suite needs of a live cluster."""

    @property
    def bus(self) -> Bus: ...

    def take(self, plan: Plan) -> None: ...

    def automatic(self) -> None: ...

    def launch(self) -> None: ...

    def stop(self) -> None: ...

    def submit(self, prompt: Prompt, sampling: Sampling, source: Source) -> str: ...

    def withdraw(self, request: str) -> None: ...


class BenchError(Exception):
    """A plan cannot be measured; the text says why."""


class Bencher:
    """One suite. `pause` lets the trial under way end; cancelling `run` keeps what was measured."""

    def __init__(
        self,
        ground: Ground,
        suite: Suite,
        contenders: Sequence[tuple[str, Plan]],
        vocabulary: int,
        model_sha256: str = "",
    ) -> None:
        self._ground, self._bus = ground, ground.bus
        self._suite, self._contenders = suite, contenders
        self._vocabulary, self._model_sha256 = vocabulary, model_sha256
        self._going = asyncio.Event()
        self._going.set()
        self._collector = Collector()
        self._run = ""
        """The one being measured."""
        self._failure = ""
        """Why the last plan that could not be measured could not."""
        self._failures = 0
        """Failed trials in a row."""

    @property
    def trials(self) -> list[Trial]:
        """What was measured so far."""
        return self._collector.trials

    def pause(self, paused: bool) -> None:
        """Hold the next trial back, or go on."""
        if paused is not self._going.is_set():
            return
        if paused:
            self._going.clear()
        else:
            self._going.set()
        self._bus.publish(ev.BenchPaused(t=time.time(), paused=paused))

    async def run(self) -> None:
        """Measure everything; no run is left. What ends a plan is said, and the next one is measured."""
        async with self.session():
            for launch in range(self._suite.launches):
                for name, plan in self._contenders:
                    with contextlib.suppress(BenchError):
                        await self.measure(name, plan, launch)

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncGenerator[None]:
        """What is measured in here belongs together; at its end the plan is the one from before."""
        before = self._bus.state
        self._collector = Collector(before.run)
        unsubscribe = self._bus.subscribe(self._collector.take)
        self._publish_start()
        why: Literal["done", "abort", "error"] = "abort"
        try:
            yield
            await self._down()
            why = "done" if self.trials else "error"
        finally:
            unsubscribe()
            if before.by_hand and before.plan is not None:
                self._ground.take(before.plan)
            else:
                self._ground.automatic()
            self._bus.publish(ev.BenchDone(t=time.time(), why=why, detail=self._failure))

    def _publish_start(self) -> None:
        self._bus.publish(
            ev.BenchStarted(
                t=time.time(),
                suite=self._suite,
                sha256=self._suite.sha256,
                model_sha256=self._model_sha256,
            )
        )

    async def measure(self, name: str, plan: Plan, launch: int) -> list[Trial]:
        """Every point on one launch of a plan, in rounds: what drifts meets all points alike. Gives the
        trials that count. Raises BenchError, which is said as an alert too."""
        try:
            await self._up(plan)
            return await self._rounds(name, launch)
        except BenchError as error:
            self._failure = f"{name}: {error}"
            self._say("warning", self._failure)
            raise

    async def _rounds(self, name: str, launch: int) -> list[Trial]:
        suite, repeats = self._suite, self._suite.repeats
        kept: dict[Point, list[Trial]] = {point: [] for point in suite.points}
        self._failures = 0
        warm, answering = 0, 0.0
        while warm < suite.warmups or answering < suite.warm_s:
            warm += 1
            for point in kept:
                trial = await self._tried(name, launch, point, -warm)
                answering += trial.seconds if trial else 0.0
        turn = 0
        while open_ := [point for point, trials in kept.items() if not enough(trials, point, repeats, turn)]:
            for point in open_:
                if trial := await self._tried(name, launch, point, turn):
                    kept[point].append(trial)
            turn += 1
        return [trial for trials in kept.values() for trial in trials]

    async def _tried(self, name: str, launch: int, point: Point, turn: int) -> Trial | None:
        """One repeat, when nobody holds it back; None where it failed, which is said. Raises BenchError where
        there is no use in going on."""
        await self._going.wait()
        trial = await self._trial(name, launch, point, turn)
        if isinstance(trial, Trial):
            self._failures = 0
            return trial
        self._failures += 1
        self._say("warning", f"{name}, {point.label}: {trial}")
        if self._failures == FAILURES or not self._measurable():
            raise BenchError(trial)
        return None

    async def _up(self, plan: Plan) -> None:
        """Have this plan, freshly launched. Raises BenchError."""
        await self._down()
        self._ground.take(plan)
        # What the run before has given back may show late.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FRESH_S):
                await self._bus.until(lambda state: state.plan is not None and not state.plan.obstacle)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PRICED_S):
                await self._bus.until(lambda state: state.plan is not None and bool(state.plan.forecast))
        before = self._bus.state
        seen = before.run.id if before.run else ""
        self._ground.launch()

        def refused(state: ClusterState) -> str:
            told = [one for one in state.alerts if one.subject == "launch" and one not in before.alerts]
            return told[-1].text if told else ""

        def decided(state: ClusterState) -> bool:
            run = state.run
            if run is not None and run.id != seen:
                return run.ready is not None or run.stopped is not None
            return bool(refused(state))

        state = await self._bus.until(decided)
        run = state.run
        if run is None or run.id == seen:
            raise BenchError(refused(state))
        if run.stopped is not None:
            raise BenchError(run.stopped.reason)
        if run.plan.stages != plan.stages:
            raise BenchError("another plan was launched meanwhile")
        self._run = run.id

    async def _down(self) -> None:
        """Have no run, nor one to come in place of one that failed. Raises BenchError."""

        def down(state: ClusterState) -> bool:
            return not state.recovering and (state.run is None or not state.run.live)

        if not down(self._bus.state):
            self._ground.stop()
            try:
                async with asyncio.timeout(STOP_S):
                    await self._bus.until(down)
            except TimeoutError:
                raise BenchError("the run before did not end") from None

    def _measurable(self) -> bool:
        """The run that was launched for this is there; what one says that took its place is of no use."""
        run = self._bus.state.run
        return run is not None and run.live and run.id == self._run

    async def _trial(self, name: str, launch: int, point: Point, turn: int) -> Trial | str:
        """One repeat; a `turn` under 0 is a warm-up."""
        prompts = [await self._prompt(point, launch, turn, place) for place in range(point.concurrency)]
        self._bus.publish(
            ev.TrialStarted(
                t=time.time(), plan=name, launch=launch, point=point, repeat=turn, warmup=turn < 0
            )
        )
        asked: list[str] = []
        try:
            asked += [self._ask(prompt, point.generate) for prompt in prompts]
            await self._answered(asked)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TOLD_S):
                    await self._bus.until(lambda state: not self._collector.pending or not self._measurable())
            made = self._collector.trial()
            if isinstance(made, Trial) and not self._measurable():
                made = "its run ended before all of it was answered"
        except NotTaken as error:
            made = str(error)
        except asyncio.CancelledError:
            for request in asked:
                self._ground.withdraw(request)
            self._bus.publish(ev.TrialDone(t=time.time(), error="ended by you"))
            raise
        if isinstance(made, Trial):
            self._bus.publish(ev.TrialDone(t=time.time(), trial=made))
        else:
            self._bus.publish(ev.TrialDone(t=time.time(), error=made))
        return made

    def _ask(self, prompt: list[int], generate: int) -> str:
        chosen = self._suite.sampling
        sampling = Sampling(
            temperature=chosen.temperature,
            top_p=chosen.top_p,
            seed=chosen.seed,
            ignore_eos=True,
            max_tokens=generate,
        )
        return self._ground.submit(Prompt(tokens=prompt), sampling, "bench")

    async def _answered(self, requests: Sequence[str]) -> None:
        def done(state: ClusterState) -> bool:
            open_ = {request.id for request in state.open}
            return open_.isdisjoint(requests) or not self._measurable()

        await self._bus.until(done)

    async def _prompt(self, point: Point, launch: int, turn: int, place: int) -> list[int]:
        """Tokens nobody has sent in this launch before, after a context that is made to be in the caches. On
        every plan they are the same, and so must be what a greedy model says to them."""
        most = max(point.concurrency for point in self._suite.points)
        turn_ = 2 * turn if turn >= 0 else -2 * turn - 1
        round_ = turn_ * len(self._suite.points) + self._suite.points.index(point)
        own = self._tokens(point.prompt, f"{point} {launch} {turn}", round_ * most + place)
        if not point.depth:
            return own
        number = self._suite.depth.index(point.depth) * most + place
        context = self._tokens(point.depth, f"{(point.depth, place)} {launch}", -1 - number)
        # Each time, as other points may have taken its place: it costs next to nothing where it is there.
        try:
            await self._answered([self._ask(context, 1)])
        except NotTaken as error:
            raise BenchError(str(error)) from None
        return [*context, *own]

    def _tokens(self, count: int, name: str, number: int) -> list[int]:
        # Special tokens are at either end of a vocabulary.
        low, high = self._vocabulary // 8, self._vocabulary // 2
        drawn = random.Random(f"{self._suite.seed} {name} {number}")
        # No two begin alike: nothing of one is found in the cache of another.
        return [low + number % (high - low), *(drawn.randrange(low, high) for _ in range(count - 1))]

    def _say(self, level: ev.Level, text: str) -> None:
        self._bus.publish(ev.Alert(t=time.time(), level=level, subject="bench", text=text))
