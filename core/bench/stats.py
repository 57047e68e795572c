"""The statistics benchmarks need, each with its source. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import msgspec


class Estimate(msgspec.Struct, frozen=True):
    """A mean, and half the width of its confidence interval; None where one value says nothing of spread."""

    mean: float
    half: float | None
    count: int

    @property
    def relative(self) -> float | None:
        """Half the interval's width as a share of the mean."""
        return self.half / abs(self.mean) if self.half is not None and self.mean else None


def quantile(values: Sequence[float], share: float) -> float | None:
    """By linear interpolation between order statistics (Hyndman & Fan 1996, type 7, as numpy does)."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean of at least one value."""
    return math.fsum(values) / len(values)


def variance(values: Sequence[float]) -> float:
    """The unbiased sample variance; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    centre = mean(values)
    return math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1)


def effective(values: Sequence[float]) -> float:
    """How many independent values these, in order of time, are worth: n (1 - r) / (1 + r) for a first-order
    autocorrelation r (Bartlett 1946), which is taken as 0 where it is negative. At least 1."""
    count, spread = len(values), variance(values)
    if count < 3 or spread == 0:
        return float(count)
    centre = mean(values)
    r = math.fsum((a - centre) * (b - centre) for a, b in pairwise(values)) / (spread * (count - 1))
    # The sample's r is too low by some 1/n where values are few (Kendall 1954).
    r = min(0.95, max(0.0, r + 1 / count))
    return max(1.0, count * (1 - r) / (1 + r))


def interval(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean and Student's interval of independent values."""
    if len(values) < 2:
        return Estimate(mean(values), None, len(values))
    error = math.sqrt(variance(values) / len(values))
    return Estimate(mean(values), error * t_quantile(confidence, len(values) - 1), len(values))


@cache
def t_quantile(confidence: float, freedom: int) -> float:
    """The t that |T| stays below with probability `confidence`, for whole degrees of freedom."""
    low, high = 0.0, 1.0
    while _within(high, freedom) < confidence:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """P(|T| <= t): Abramowitz & Stegun 26.7.3 and 26.7.4, a finite sum in cos² of the angle."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine2 = math.cos(angle) ** 2
    odd = freedom % 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= cosine2 * (k - 1) / k
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
