"""The search for the best order of devices: a dynamic programme over sets of devices, pruned by the bound.

A partial plan is known by its first group (for the way back and the embedding), the set of devices used
and its last group; kept for each is the least time to have covered the layers before j, for every j. Each
level adds a stage. What cannot beat the best plan in hand is dropped, so is all but the most promising
`width` of a level; if nothing was dropped for want of width the result is the optimum, otherwise the
least bound among the dropped says how far from it the result can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from core.plan.bound import Bound
from core.plan.cost import Costs, Floats, Ints
from core.plan.ranges import Limits, alone

Aim = Literal["fastest", "shortest", "every"]

IMPROVEMENT = 1e-9
"""Relative gain below which a plan does not count as better."""


@dataclass
class Found:
    """The best order found, its total seconds, and a lower bound on every plan within the limits."""

    total: float = np.inf
    sequence: tuple[int, ...] = ()
    bound: float = np.inf
    by_length: dict[int, tuple[float, tuple[int, ...]]] = field(
        default_factory=dict[int, tuple[float, tuple[int, ...]]]
    )
    """Best found by number of stages, as far as looked at."""


@dataclass
class _Level:
    first: Ints
    used: Ints
    last: Ints
    time: Floats


def twins(costs: Costs) -> list[int]:
    """For each device the set of equal devices before it. Two devices are equal when swapping them
    changes nothing; of equal ones the earlier is used first, so the search sees each choice once."""
    problem, fabric = costs.problem, costs.fabric
    tables = (fabric.latency, fabric.bandwidth, fabric.rdma)
    n = len(problem.devices)
    before = [0] * n

    def facts(i: int) -> tuple[object, ...]:
        d = problem.devices[i]
        return (d.mem, d.bw, d.flops, d.load, d.overhead_scale, d.eta_bw)

    for b in range(n):
        for a in range(b):
            if facts(a) != facts(b):
                continue
            others = [i for i in range(n) if i not in (a, b)]
            if all(
                t[a, b] == t[b, a]
                and (t[a, others] == t[b, others]).all()
                and (t[others, a] == t[others, b]).all()
                for t in tables
            ):
                before[b] |= 1 << a
    return before


class Search:
    """One search over orders of groups within limits. `cutoff`: plans this slow or slower are no use."""

    def __init__(self, limits: Limits, bound: Bound, *, earlier: Sequence[int]) -> None:
        self._limits, self._bound, self._costs = limits, bound, limits.costs
        self._earlier = np.array(
            [
                int(np.bitwise_or.reduce([earlier[d] for d in group])) & ~int(bits)
                for group, bits in zip(self._costs.groups, self._costs.bits, strict=True)
            ],
            dtype=np.int64,
        )

    def run(self, cutoff: float, width: int, most: int, aim: Aim = "fastest") -> Found:
        """The best plan of at least two stages and at most `most` that takes under `cutoff` seconds: the
        fastest, or in `by_length` the fastest of the shortest length below the cutoff, or of every length."""
        found = Found(bound=cutoff)
        levels = [self._opening(found, cutoff, width)]
        while len(levels[-1].first) and len(levels) < most:
            level = self._next(levels, found, cutoff)
            if aim == "shortest" and found.by_length:
                break
            if aim == "fastest":
                cutoff = min(cutoff, found.total * (1 - IMPROVEMENT))
            levels.append(self._narrow(level, found, cutoff, width))
        found.bound = min(found.bound, found.total)
        return found

    def _opening(self, found: Found, cutoff: float, width: int) -> _Level:
        costs = self._costs
        able = [g for g in range(len(costs.groups)) if not self._earlier[g]]
        groups = np.array(able, dtype=np.int64)
        time = np.stack([self._limits.opening(g) for g in able], axis=1) if able else np.empty((1, 0))
        # A first stage that ends the model is the only one, which is looked at elsewhere.
        time[-1] = np.inf
        level = _Level(groups, costs.bits[groups], groups, time)
        return self._narrow(level, found, cutoff, width)

    def _next(self, levels: list[_Level], found: Found, cutoff: float) -> _Level:
        level, costs = levels[-1], self._costs
        parts: list[_Level] = []
        for g, bits in enumerate(costs.bits):
            hop = self._limits.hop[level.last, g]
            free = (level.used & bits) == 0
            able = np.flatnonzero(free & np.isfinite(hop) & ((self._earlier[g] & ~level.used) == 0))
            if not len(able):
                continue
            reached = level.time[:, able] + hop[able]
            first, used, reached = _merge(level.first[able], level.used[able] | bits, reached)
            own = costs.time[g][:, None]
            time = self._limits.window(g).minima(reached - own) + own
            whole = time[-1] + costs.head[g] + costs.back[g, first] + costs.problem.constants.token_overhead
            best = int(np.argmin(whole))
            length = len(levels) + 1
            if whole[best] < min(cutoff, found.by_length.get(length, (np.inf, ()))[0]):
                sequence = self._trace(levels, int(first[best]), int(used[best]), g)
                found.by_length[length] = (float(whole[best]), sequence)
                if whole[best] < found.total:
                    found.total, found.sequence = float(whole[best]), sequence
            parts.append(_Level(first, used, np.full(len(first), g, dtype=np.int64), time))
        if not parts:
            nothing = np.empty(0, dtype=np.int64)
            return _Level(nothing, nothing, nothing, np.empty((costs.depth + 1, 0)))
        return _Level(
            np.concatenate([part.first for part in parts]),
            np.concatenate([part.used for part in parts]),
            np.concatenate([part.last for part in parts]),
            np.concatenate([part.time for part in parts], axis=1),
        )

    def _narrow(self, level: _Level, found: Found, cutoff: float, width: int) -> _Level:
        """Drop what cannot beat the best, then all but the most promising `width`."""
        if not len(level.first):
            return level
        hope = level.time + self._bound.completion(level.first, level.used)
        hope[-1] = np.inf
        level.time[hope >= cutoff] = np.inf
        promise = hope.min(axis=0)
        kept = np.flatnonzero(promise < cutoff)
        if len(kept) > width:
            order = kept[np.argsort(promise[kept], kind="stable")]
            found.bound = min(found.bound, float(promise[order[width]]))
            kept = np.sort(order[:width])
        return _Level(level.first[kept], level.used[kept], level.last[kept], level.time[:, kept])

    def _trace(self, levels: list[_Level], first: int, used: int, last: int) -> tuple[int, ...]:
        """The order that led to a complete plan, from what each level kept."""
        costs, end = self._costs, self._costs.depth
        sequence = [last]
        for level in reversed(levels):
            g = sequence[-1]
            used &= ~int(costs.bits[g])
            hop = self._limits.hop[level.last, g]
            able = np.flatnonzero((level.used == used) & (level.first == first) & np.isfinite(hop))
            low = int(self._limits.low(g, first=False)[end])
            high = end - self._limits.least + 1
            block = level.time[low:high, able] + hop[able] - costs.time[g, low:high, None]
            row, column = np.unravel_index(int(np.argmin(block)), block.shape)
            end = low + int(row)
            sequence.append(int(level.last[able[column]]))
        return tuple(reversed(sequence))


def _merge(first: Ints, used: Ints, time: Floats) -> tuple[Ints, Ints, Floats]:
    """Keep the least time, layer by layer, of partial plans with the same first group and devices."""
    order = np.lexsort((used, first))
    first, used = first[order], used[order]
    fresh = np.flatnonzero(np.r_[True, (first[1:] != first[:-1]) | (used[1:] != used[:-1])])
    if len(fresh) == len(first):
        return first, used, time[:, order]
    return first[fresh], used[fresh], np.minimum.reduceat(time[:, order], fresh, axis=1)


def single(limits: Limits) -> tuple[float, tuple[int, ...]]:
    """The best plan of one stage, `(inf, ())` if no group holds the whole model."""
    costs = limits.costs
    whole = costs.time[:, -1] + costs.head + costs.problem.constants.token_overhead
    for g in np.argsort(whole, kind="stable"):
        if alone(limits, int(g)):
            return float(whole[g]), (int(g),)
    return np.inf, ()
