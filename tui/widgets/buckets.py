"""From samples to points a chart may draw: thinned, finite, in range, with gaps kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.series import SPAN, Series

SPANS = (60.0, 120.0, 300.0, SPAN)
"""Widths of the window in seconds; it grows in these steps so that what is drawn stands still."""
LARGEST = 1e15
"""No quantity here is larger; what is comes from a broken clock or a broken peer."""

Point = tuple[float, float]


def window(series: Sequence[Series]) -> tuple[float, float]:
    """Start and length of the time axis that shows all samples."""
    first = min((s.times[0] for s in series if s.times), default=0.0)
    last = max((s.times[-1] for s in series if s.times), default=0.0)
    span = next((s for s in SPANS if last - first <= s), SPAN)
    return max(first, last - span), span


def usable(value: float | None, scale: float = 1.0) -> float | None:
    """A value a chart can show, None for a gap. plotext 6.1 aborts the process on NaN."""
    if value is None or not math.isfinite(value):
        return None
    return min(LARGEST, max(0.0, value * scale))


def largest(series: Series, scale: float) -> float:
    """The largest value that will be drawn."""
    return max((v for v in (usable(value, scale) for value in series.values) if v is not None), default=0.0)


def nice(value: float) -> float:
    """The round number at or above `value`: 1, 2, 2.5 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 2.5, 5) if step * power >= value), 10 * power)


def runs(
    series: Series, start: float, span: float, columns: int, scale: float, high: float
) -> list[list[Point]]:
    """Points as (column, share of `high`), at most one a column, a list for each stretch without a gap.

    Buckets are cut at multiples of their own length since the epoch, not since `start`: a sample
    never moves to another bucket when the window slides, so the picture moves a whole column at a
    time or not at all.
    """
    length = span / columns
    origin = math.floor(start / length)
    found: list[list[Point]] = []
    joined = False
    for t, raw in zip(series.times, series.values, strict=True):
        value = usable(raw, scale)
        column = math.floor(t / length) - origin
        if value is None or column < 0:
            joined = False
            continue
        point = (float(min(column, columns)), min(1.0, value / high))
        if not joined:
            found.append([point])
        elif found[-1][-1][0] == point[0]:
            found[-1][-1] = (point[0], max(point[1], found[-1][-1][1]))
        else:
            found[-1].append(point)
        joined = True
    return found
