"""Find the best split: measure around the planner's choice, and believe only what is shown.

A step moves layers from one stage to the next. Steps begin at an eighth of the layers and are halved down to
one (Hooke & Jeeves 1961, pattern search). A split is taken when its speed is shown to be higher than that of
the best so far; both are launched again, up to three times, while nothing is shown either way. A split that
writes another greedy text than a single process is refused, however fast it is. What ranks say of their time
on the way is what the planner's calibration learns from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import msgspec

from core.bench.bencher import Bencher, BenchError
from core.bench.compare import CONFIDENCE, Effect, contrast, disagreeing, groups
from core.bench.metrics import DECODE, Trial
from core.bench.stats import mean
from core.bench.suite import Repeats, Suite
from core.bench.table import ENOUGH_LAUNCHES
from core.plan.plan import Plan, PlanError

SUITE = Suite(
    name="tune", prompt=(32,), generate=(64,), warmups=1, repeats=Repeats(least=3, most=6, precision=0.02)
)
"""Answers are long enough for the planner's calibration to learn from them."""
PROMISING = 0.98
"""A split that seems slower than so much of the best is not launched again."""

Counts = tuple[int, ...]


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A split that was measured, against the best one of that moment; or why it was refused."""

    split: Counts
    tps: float | None
    effect: Effect | None
    refused: str = ""


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    planned: Counts
    best: Counts
    devices: tuple[str, ...]
    reference: str
    """Whose greedy text every split had to write."""
    tried: tuple[Tried, ...]
    gain: Effect | None
    """The fastest split found against the planner's, over all launches of both; None where nothing seemed to
    be faster. Only where this shows it to be faster is it the best."""


class Tuner:
    """One search. `remake` gives the plan of a split, or raises PlanError."""

    def __init__(
        self,
        bencher: Bencher,
        planned: Plan,
        single: Plan | None,
        remake: Callable[[Counts], Plan],
        told: Callable[[Tried], None] = lambda _: None,
    ) -> None:
        self._bencher, self._planned, self._single = bencher, planned, single
        self._remake, self._told = remake, told
        self._trials: dict[Counts, list[Trial]] = {}
        self._launches: dict[Counts, int] = {}
        self._reference: Sequence[Trial] = ()
        self._tried: list[Tried] = []

    async def run(self) -> Tuned:
        """Search. Raises BenchError where not even the planner's plan can be measured."""
        async with self._bencher.session():
            start = tuple(self._planned.split)
            reference = "the planner's plan, as no device holds the whole model"
            if self._single is not None:
                name = self._single.stages[0].device
                self._reference = await self._bencher.measure(f"single on {name}", self._single, 0)
                reference = f"a single process on {name}"
            await self._launch(start, self._planned)
            if why := self._refusal(start):
                raise BenchError(f"the planner's plan {why}")
            self._reference = self._reference or self._trials[start]
            found = await self._search(start)
        gain = self._effect(start, found) if found != start else None
        return Tuned(
            planned=start,
            best=found if gain is not None and gain.verdict == "faster" else start,
            devices=tuple("+".join(stage.devices) for stage in self._planned.stages),
            reference=reference,
            tried=tuple(self._tried),
            gain=gain,
        )

    async def _search(self, best: Counts) -> Counts:
        step = max(1, sum(best) // 8)
        while True:
            better = None
            for counts in around(best, step):
                if counts not in self._launches and await self._beats(counts, best):
                    better = counts
                    break
            if better is not None:
                best = better
            elif step == 1:
                return best
            else:
                step //= 2

    async def _beats(self, counts: Counts, best: Counts) -> bool:
        """Whether a split is shown to be faster than the best one."""
        self._launches[counts] = 0
        effect, refused = None, ""
        try:
            plan = self._remake(counts)
            while True:
                await self._launch(counts, plan)
                if refused := self._refusal(counts):
                    break
                effect = self._effect(best, counts)
                if effect.verdict != "no difference shown" or effect.ratio < PROMISING:
                    break
                if self._launches[counts] >= ENOUGH_LAUNCHES:
                    break
                if self._launches[best] <= self._launches[counts]:
                    await self._launch(best, self._remake(best))
        except (PlanError, BenchError) as error:
            refused = str(error)
        trials = self._trials.get(counts)
        tried = Tried(split=counts, tps=_speed(trials) if trials else None, effect=effect, refused=refused)
        self._tried.append(tried)
        self._told(tried)
        return not refused and effect is not None and effect.verdict == "faster"

    async def _launch(self, counts: Counts, plan: Plan) -> None:
        launch = self._launches.get(counts, 0)
        name = "/".join(map(str, counts))
        trials = await self._bencher.measure(name, plan, launch)
        self._trials.setdefault(counts, []).extend(trials)
        self._launches[counts] = launch + 1

    def _refusal(self, counts: Counts) -> str:
        differ, count = disagreeing(self._reference, self._trials[counts])
        return f"wrote another greedy text in {differ} of {count} answers" if differ else ""

    def _effect(self, first: Counts, second: Counts) -> Effect:
        pair = groups(DECODE, self._trials[first]), groups(DECODE, self._trials[second])
        return contrast([pair], CONFIDENCE, metric=DECODE.title, point="", more_is_better=True)


def around(counts: Counts, step: int) -> Iterator[Counts]:
    """Every split with `step` layers moved between two neighbours, either way; no stage is left empty."""
    for i in range(len(counts) - 1):
        for giver, taker in ((i, i + 1), (i + 1, i)):
            if counts[giver] > step:
                moved = list(counts)
                moved[giver] -= step
                moved[taker] += step
                yield tuple(moved)


def _speed(trials: Sequence[Trial]) -> float:
    return math.exp(mean([mean(launch) for launch in groups(DECODE, trials)]))
