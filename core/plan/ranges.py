"""The best layer ranges for given orders of devices: a dynamic programme over layers, many orders at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from core.plan.cost import Costs, Flags, Floats, Ints


class Window:
    """Minima over windows `[low[j], j - least]` of columns, by the doubling table of range minima.

    `low` is per row j; a row whose window is empty, or that is not `able`, has the minimum infinity.
    """

    def __init__(self, low: Ints, least: int, able: Flags) -> None:
        rows = len(low)
        self._least = least
        high = np.arange(rows) - least
        width = high - low + 1
        self._some = np.flatnonzero((width > 0) & able)
        low, width = low[self._some], width[self._some]
        self._everything = len(low) == rows - least and not low.any()
        self._bounded: list[tuple[Ints, Ints, Ints]] = []
        power = np.floor(np.log2(np.maximum(width, 1))).astype(np.int64)
        for level in range(int(power.max(initial=-1)) + 1):
            at = np.flatnonzero(power == level)
            self._bounded.append((self._some[at], low[at], high[self._some][at] - (1 << level) + 1))

    def minima(self, values: Floats) -> Floats:
        """For `values[j, column]` the least of each window, same shape."""
        out = np.full(values.shape, np.inf)
        if not len(self._some):
            return out
        if self._everything:
            running = np.minimum.accumulate(values[: len(values) - self._least], axis=0)
            out[self._least :] = running
            return out
        table = values
        for level, (rows, left, right) in enumerate(self._bounded):
            if level:
                half = 1 << (level - 1)
                table = np.minimum(table[:-half], table[half:])
            if len(rows):
                out[rows] = np.minimum(table[left], table[right])
        return out


@dataclass
class Limits:
    """What stages may be: at most `slowest` seconds, at least `least` layers, with `spare` bytes to be left
    free on every device. Windows are made on demand, by group and place in the order."""

    costs: Costs
    slowest: float = np.inf
    least: int = 1
    spare: float = 0.0

    def __post_init__(self) -> None:
        self._windows: dict[tuple[int, bool], Window] = {}
        self._lows: dict[tuple[int, bool], Ints] = {}
        costs = self.costs
        self.hop: Floats = np.where(costs.hop <= self.slowest, costs.hop, np.inf)

    def low(self, group: int, *, first: bool) -> Ints:
        """For each end j the smallest start allowed on the group; row L counts the head, others not."""
        key = (group, first)
        if key not in self._lows:
            costs = self.costs
            low = costs.starts(group, self.slowest, self.spare, first=first, last=False)
            last = costs.starts(group, self.slowest, self.spare, first=first, last=True)
            low[-1] = last[-1]
            self._lows[key] = low
        return self._lows[key]

    def window(self, group: int) -> Window:
        """The windows of a stage that is not the first."""
        key = (group, False)
        if key not in self._windows:
            self._windows[key] = Window(self.low(group, first=False), self.least, self.costs.open)
        return self._windows[key]

    def opening(self, group: int) -> Floats:
        """Seconds of a first stage `[0, j)` on the group for each j; infinite where it cannot be.
        The head is not counted."""
        rows = np.arange(self.costs.depth + 1)
        fits = (self.low(group, first=True) <= 0) & (rows >= self.least) & self.costs.open
        return np.where(fits, self.costs.time[group], np.inf)


def alone(limits: Limits, group: int) -> bool:
    """Whether the group can hold the whole model."""
    costs = limits.costs
    if limits.slowest < costs.time[group, -1]:
        return False
    low = costs.starts(group, np.inf, limits.spare, first=True, last=True)
    return bool(low[-1] <= 0)


def evaluate(limits: Limits, sequences: Sequence[Sequence[int]]) -> Floats:
    """Total seconds of each order of groups with its best ranges, infinite where none fits. All orders
    have the same length. One step's `token_overhead` is included."""
    costs = limits.costs
    order = np.asarray(sequences, dtype=np.int64)
    count, length = order.shape
    tail = costs.head[order[:, -1]] + costs.problem.constants.token_overhead
    if length == 1:
        fits = np.array([alone(limits, int(g)) for g in order[:, 0]])
        return np.where(fits, costs.time[order[:, 0], -1] + tail, np.inf)
    sofar = np.empty((costs.depth + 1, count))
    for group in np.unique(order[:, 0]):
        sofar[:, order[:, 0] == group] = limits.opening(int(group))[:, None]
    for place in range(1, length):
        hops = limits.hop[order[:, place - 1], order[:, place]]
        following = np.full_like(sofar, np.inf)
        for group in np.unique(order[:, place]):
            columns = np.flatnonzero(order[:, place] == group)
            columns = columns[np.isfinite(hops[columns])]
            time = costs.time[group][:, None]
            reached = sofar[:, columns] - time
            following[:, columns] = limits.window(int(group)).minima(reached) + time + hops[columns]
        sofar = following
    return sofar[-1] + tail + costs.back[order[:, -1], order[:, 0]]


def cut(limits: Limits, sequence: Sequence[int]) -> list[int] | None:
    """The best ranges of one order as cuts `[0, …, L]`; None where none fits."""
    costs = limits.costs
    if len(sequence) == 1:
        return [0, costs.depth] if alone(limits, sequence[0]) else None
    reached = [limits.opening(sequence[0])]
    for f, g in pairwise(sequence):
        column = (reached[-1] - costs.time[g])[:, None]
        reached.append(limits.window(g).minima(column)[:, 0] + costs.time[g] + limits.hop[f, g])
    if not np.isfinite(reached[-1][-1]):
        return None
    cuts = [costs.depth]
    for place in range(len(sequence) - 1, 0, -1):
        g, end = sequence[place], cuts[-1]
        low = int(limits.low(g, first=False)[end])
        candidates = (
            reached[place - 1][low : end - limits.least + 1] - costs.time[g, low : end - limits.least + 1]
        )
        cuts.append(low + int(np.argmin(candidates)))
    return [0, *reversed(cuts)]
