"""The best plan of a problem, and how sure that is.

All three objectives come down to one question: the least total time with no stage or hand-over slower
than a limit. Decoding asks it once; prefill and throughput, which also count the slowest stage, ask it
again with the limit tightened below each answer's slowest stage, until the total alone is no better.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.plan.bound import Bound
from core.plan.cost import Costs, Floats, value, works
from core.plan.plan import PlanError
from core.plan.polish import polish
from core.plan.problem import Problem, Span
from core.plan.ranges import Limits, cut
from core.plan.search import IMPROVEMENT, Aim, Found, Search, single, twins

EXACT_DEVICES = 12
"""Pipelines of so many devices are searched to the end, whatever it takes."""
EXACT_DEVICES_HYBRID = 8
"""The same with tensor groups as stages."""
FIRST_WIDTH = 24
SIDE_WIDTH = 200
"""Width of searches that need no proof."""
ENOUGH = 0.003
"""Gap at which a search that need not be exact ends."""
WORK = 1e6
"""Numbers a level of a search cut short may hold: some 20 ms a level."""


@dataclass(frozen=True)
class Solution:
    """A plan and its worth. `value` is to be small: seconds a token, to the first token, or a batch."""

    costs: Costs
    repeats: int
    """Prefill chunks, or micro-batches in flight."""
    sequence: tuple[int, ...]
    cuts: tuple[int, ...]
    value: float
    bound: float = 0.0
    """No plan has a smaller value."""

    @property
    def gap(self) -> float:
        """How far from the optimum the plan can be, as a share of its value; 0 when it is proved optimal."""
        gap = max(0.0, 1 - self.bound / self.value)
        return gap if gap > 1e-7 else 0.0

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """The stages."""
        return self.costs.spans(self.sequence, self.cuts)


class NoPlan(PlanError):
    """No plan fits the memory or the links."""


class Solver:
    """The least total of one problem and kind of step, asked with different limits. Keeps what is dear."""

    def __init__(self, problem: Problem, whole: Costs) -> None:
        caps = problem.caps
        self.whole = whole
        alone = [(i,) for i in range(len(problem.devices))]
        plain = caps.hybrid or len(whole.groups) == len(alone)
        self.costs = whole if plain else Costs(problem, whole.work, alone)
        hybrid = len(self.costs.groups) > len(alone)
        self.exact = len(alone) <= (EXACT_DEVICES_HYBRID if hybrid else EXACT_DEVICES)
        cells = (self.costs.depth + 1) * len(self.costs.groups)
        self.enough = IMPROVEMENT if self.exact else ENOUGH
        self.width = 1 << 40 if self.exact else max(FIRST_WIDTH, int(WORK / cells))
        self.most = min(caps.max_stages or len(alone), len(alone), self.costs.depth)
        self._earlier = twins(self.costs)
        self._prices: Floats | None = None

    def least_total(self, cutoff: float = np.inf, slowest: float = np.inf) -> tuple[Costs, Found]:
        """The plan of least total below `cutoff`, and the bound on all of them."""
        total, alone = single(Limits(self.whole, slowest))
        if total >= cutoff:
            total, alone = np.inf, ()
        if self.most == 1:
            return self.whole, Found(total, alone, min(total, cutoff))
        limits = Limits(self.costs, slowest)
        bound = Bound(limits, self._prices)
        search = Search(limits, bound, earlier=self._earlier)
        found = search.run(min(cutoff, total), FIRST_WIDTH, self.most)
        target = min(cutoff, total, found.total)
        if np.isfinite(target) and found.bound < target and self._prices is None:
            bound.improve(target)
            self._prices = bound.prices
            if not self.exact:
                _take(found, search.run(target, FIRST_WIDTH, self.most))
        # One stage is for `single`: the search minds the way back, which one stage has not.
        if found.bound < min(target, found.total) * (1 - self.enough) and found.sequence:
            lengths = range(2, self.most + 1)
            found.total, found.sequence = polish(limits, found.sequence, found.total, lengths=lengths)
        target = min(target, found.total)
        if found.bound < target * (1 - self.enough):
            _take(found, search.run(target, self.width, self.most))
        if total <= found.total:
            return self.whole, Found(total, alone, min(total, found.bound))
        return self.costs, found

    def by_length(
        self, cutoff: float, most: int, aim: Aim, *, least: int = 1
    ) -> dict[int, tuple[float, tuple[int, ...]]]:
        """The best pipelines, by their number of stages from 2 to `most`, that take under `cutoff` seconds:
        the shortest ones, or those of every length. Not proved."""
        limits = Limits(self.costs, least=least)
        bound = Bound(limits, self._prices)
        search = Search(limits, bound, earlier=self._earlier)
        found = search.run(cutoff, SIDE_WIDTH, min(most, self.most), aim)
        return found.by_length

    def least_bottleneck(self) -> float:
        """A lower bound on the slowest stage of any plan: below it the devices cannot hold all layers."""
        costs = self.whole
        size = np.array([len(group) for group in costs.groups])

        def holds(slowest: float) -> bool:
            limits = Limits(costs, slowest)
            ends = np.arange(costs.depth + 1)
            most = np.array(
                [max(0, int((ends - limits.low(g, first=False)).max())) for g in range(len(size))]
            )
            shares = [
                max(most[g] / size[g] for g, group in enumerate(costs.groups) if d in group)
                for d in range(len(costs.problem.devices))
            ]
            return sum(shares) >= costs.depth or bool((most >= costs.depth).any())

        low, high = 0.0, float(costs.time[:, -1].max())
        for _ in range(24):
            middle = (low + high) / 2
            low, high = (low, middle) if holds(middle) else (middle, high)
        return low


def _take(found: Found, again: Found) -> None:
    """Keep the better of two searches' plans and bounds."""
    if again.total < found.total:
        found.total, found.sequence = again.total, again.sequence
    found.bound = min(found.total, max(found.bound, again.bound))


def solve(problem: Problem) -> Solution:
    """The best plan for the problem's objective. Raises NoPlan when there is none."""
    best: Solution | None = None
    bound = np.inf
    for repeats, work in works(problem):
        solver = Solver(problem, Costs(problem, work))
        for solution, least in _improving(solver, problem, repeats, best):
            best = solution if best is None or solution.value < best.value else best
            bound = min(bound, least)
    if best is None:
        raise NoPlan("no split over these devices fits their memory and links")
    final = min(bound, best.value)
    return Solution(best.costs, best.repeats, best.sequence, best.cuts, best.value, final)


def _improving(
    solver: Solver, problem: Problem, repeats: int, best: Solution | None
) -> Iterator[tuple[Solution, float]]:
    """Plans with ever lower limits on the slowest stage, each with a bound on the plans it rules out."""
    objective = problem.request.objective
    overlap = 0 if objective == "decode" else repeats - 1 if objective == "prefill" else repeats
    floor = solver.least_bottleneck() if overlap else 0.0
    slowest = np.inf
    if best is not None and overlap:
        slowest = best.value / overlap * (1 - IMPROVEMENT)
    while True:
        sure = overlap * floor if objective == "prefill" else 0.0
        cutoff = np.inf if best is None else best.value * (1 - IMPROVEMENT) - sure
        costs, found = solver.least_total(cutoff, slowest)
        if not found.sequence:
            if best is not None:
                yield best, found.bound + sure
            return
        cuts = cut(Limits(costs, slowest), found.sequence)
        assert cuts is not None
        pace = costs.bottleneck(found.sequence, cuts)
        worth = value(problem, repeats, costs.total(found.sequence, cuts), pace)
        if best is None or worth < best.value:
            best = Solution(costs, repeats, found.sequence, tuple(cuts), worth)
        if objective == "decode":
            yield best, found.bound
            return
        # Plans with a slowest stage between the next limit and this one are no better than this bound.
        below = pace * (1 - IMPROVEMENT)
        if objective == "prefill":
            if overlap:
                below = min(below, (best.value - found.bound) / overlap)
            yield best, found.bound + overlap * below
            done = overlap == 0 or found.bound + sure >= best.value
        else:
            yield best, max(found.bound, overlap * below)
            done = overlap * pace <= found.bound
            below = min(below, best.value / overlap * (1 - IMPROVEMENT))
        if done or below < floor:
            return
        slowest = below
