"""A lower bound on every plan, by prices on layers (Lagrangian relaxation of "each layer exactly once").

Pay `price[i]` for running layer i. A group earns at most its best interval: prices less time, less the
cheapest hand-over to it, less the head if the interval ends the model. Whatever the prices, no plan
costs less than all prices together minus what every device could earn; good prices make that tight. A
tensor group's gain is split evenly over its members, each of which takes its best offer. The same sum
over only the unused devices and the layers from j on bounds every completion of a partial plan.
See M. L. Fisher, "The Lagrangian Relaxation Method", Management Science 27(1), 1981; the step is Polyak's.
"""

from __future__ import annotations

import numpy as np

from core.plan.cost import Floats, Ints
from core.plan.ranges import Limits

STEPS = 80
"""Subgradient steps; more gained under 0.1 % on clusters of 32 devices."""
PATIENCE = 12
"""Steps without gain after which the step is halved."""
QUIET = 2**18
"""Multiplications up to which OpenBLAS keeps to one thread. Several gain nothing on matrices as small as
these, and wait for each other by spinning: on a busy machine that took three times the processor's time."""


class Bound:
    """Bounds for one set of limits. `share[j, d]`: the most device d can earn on the layers from j on."""

    def __init__(self, limits: Limits, prices: Floats | None = None) -> None:
        self._costs = costs = limits.costs
        self._least = limits.least
        rows, groups = costs.depth + 1, len(costs.groups)
        low = np.stack([limits.low(g, first=False) for g in range(groups)], axis=1)
        self._setup: Floats = limits.hop.min(axis=0)
        self._back: Floats = costs.back.min(axis=0)
        self._member = np.array(
            [[(int(bits) >> d) & 1 for bits in costs.bits] for d in range(len(costs.problem.devices))],
            dtype=bool,
        )
        self._size = self._member.sum(axis=0)
        self._cost: Floats = costs.time.T.copy()
        self._cost[-1] += costs.head
        # The farthest end of an interval from each start, and the doubling table's places for its maximum.
        ends = np.arange(rows)
        self._high: Ints = np.stack(
            [np.searchsorted(low[:, g], ends, side="right") - 1 for g in range(groups)], 1
        )
        start = ends[:, None] + limits.least
        width = self._high - start + 1
        self._open = width > 0
        power = np.floor(np.log2(np.maximum(width, 1))).astype(np.int64)
        self._levels = int(power.max()) + 1
        columns = np.arange(groups)[None, :]
        left = np.minimum(start, rows - 1)
        right = np.maximum(self._high - (1 << power) + 1, 0)
        self._left = (power * rows + left) * groups + columns
        self._right = (power * rows + right) * groups + columns
        self.prices = self._first_prices() if prices is None else prices
        self._settle()

    def _gains(self, prices: Floats) -> tuple[Floats, Floats]:
        """For each start k and group the best gain of an interval from k on exactly, and the potential."""
        worth = np.concatenate(([0.0], np.cumsum(prices)))[:, None] - self._cost
        table = np.full((self._levels, *worth.shape), -np.inf)
        table[0] = worth
        for level in range(1, self._levels):
            half = 1 << (level - 1)
            table[level, :-half] = np.maximum(table[level - 1, :-half], table[level - 1, half:])
        flat = table.ravel()
        best = np.maximum(flat[self._left], flat[self._right])
        # The start's own cost holds no head, which only the end may carry.
        begin = worth.copy()
        begin[-1] += self._costs.head
        return np.where(self._open, best - begin - self._setup, -np.inf), worth

    def _earn(self, gains: Floats) -> tuple[Floats, Ints]:
        """What each device earns from its best offer, and the group that makes it."""
        offers = np.where(self._member, np.maximum(gains, 0) / self._size, -1)
        return offers.max(axis=1), offers.argmax(axis=1)

    def _value(self, prices: Floats) -> float:
        gains, _ = self._gains(prices)
        return float(prices.sum() - self._earn(gains.max(axis=0))[0].sum())

    def _first_prices(self) -> Floats:
        """The best multiple of the mean cost of each layer: the bound is concave in it."""
        shape = np.diff(self._costs.time, axis=1).mean(axis=0)
        shape = shape / shape.sum()
        low, high = 0.0, float(np.nanmax(self._cost[-1])) * 2
        for _ in range(30):
            a, b = low + (high - low) * 0.45, low + (high - low) * 0.55
            if self._value(shape * a) < self._value(shape * b):
                low = a
            else:
                high = b
        return shape * (low + high) / 2

    def improve(self, target: float) -> None:
        """Move the prices so that the bound nears `target`, the value of a plan in hand."""
        best, prices, best_prices = -np.inf, self.prices, self.prices
        step, idle = 1.0, 0
        for _ in range(STEPS):
            gains, worth = self._gains(prices)
            start = gains.argmax(axis=0)
            earned, chosen = self._earn(gains[start, np.arange(len(start))])
            value = float(prices.sum() - earned.sum())
            if value > best:
                best, best_prices, idle = value, prices, 0
            else:
                idle += 1
                if idle == PATIENCE:
                    step, idle, prices = step / 2, 0, best_prices
                    continue
            slope = np.ones(len(prices))
            for device in np.flatnonzero(earned > 0):
                g = int(chosen[device])
                k = int(start[g])
                end = k + self._least + int(np.argmax(worth[k + self._least : self._high[k, g] + 1, g]))
                slope[k:end] -= 1 / self._size[g]
            norm = float(slope @ slope)
            if norm == 0 or value >= target * (1 - 1e-6):
                break
            prices = prices + step * max(target - value, 1e-9) / norm * slope
        self.prices = best_prices
        self._settle()

    def _settle(self) -> None:
        gains, _ = self._gains(self.prices)
        onwards = np.maximum.accumulate(np.maximum(gains, 0)[::-1], axis=0)[::-1] / self._size
        self.share: Floats = np.stack(
            [onwards[:, members].max(axis=1, initial=0) for members in self._member], axis=1
        )
        total = np.concatenate(([0.0], np.cumsum(self.prices)))
        self._rest = total[-1] - total + self._costs.problem.constants.token_overhead

    def completion(self, first: Ints, used: Ints) -> Floats:
        """Least seconds to finish partial plans that have covered the layers before j: `[j, plan]`. `first`
        is each plan's first group, `used` the set of devices in it."""
        devices = np.arange(self.share.shape[1], dtype=np.int64)
        unused = (1 - ((used[None, :] >> devices[:, None]) & 1)).astype(np.float64)
        least = self._rest[:, None] + self._back[first]
        step = max(1, QUIET // self.share.size)
        for i in range(0, len(used), step):
            least[:, i : i + step] -= self.share @ unused[:, i : i + step]
        return least
