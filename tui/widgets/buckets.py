"""From samples to points a chart may draw: thinned, finite, in range, with gaps kept."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from core.series import SPAN, Series

SPANS = (60.0, 120.0, 300.0, SPAN, 1800.0, 3600.0, *(3600.0 * h for h in (2, 6, 12, 24, 48, 96, 168)))
"""Widths of a window in seconds; it grows in these steps so that what is drawn stands still."""
WINDOWS = {"1 min": 60.0, "10 min": SPAN, "all": math.inf}
"""The choice a person has; each is a most, not a width, while there is less to show."""
LARGEST = 1e15
"""No quantity here is larger; what is comes from a broken clock or a broken peer."""

Point = tuple[float, float]


def window(series: Sequence[Series], now: float, most: float = SPAN) -> tuple[float, float]:
    """Start and length of the time axis that shows all samples of the last `most` seconds."""
    first = min((s.first for s in series if s.first is not None), default=now)
    last = max(now, *(s.times[-1] for s in series if s.times), first)
    span = next((s for s in SPANS if min(most, last - first) <= s), last - first)
    return max(first, last - span), span


def usable(value: float | None, scale: float = 1.0) -> float | None:
    """A value a chart can show, None for a gap. plotext 6.1 aborts the process on NaN."""
    if value is None or not math.isfinite(value):
        return None
    return min(LARGEST, max(0.0, value * scale))


def largest(series: Series, start: float, scale: float) -> float:
    """The largest value that will be drawn."""
    shown = (usable(value, scale) for t, value in samples(series, start) if t >= start)
    return max((value for value in shown if value is not None), default=0.0)


def samples(series: Series, start: float) -> Iterator[tuple[float, float | None]]:
    """Those since `start`, and whatever of the thinned ones is needed for that."""
    older = series.older
    if older.times and series.times and start < series.times[0]:
        at = max(0, bisect_right(older.times, start) - 1)
        yield from zip(older.times[at:], older.values[at:], strict=True)
        yield from zip(series.times, series.values, strict=True)
    else:
        at = max(0, bisect_right(series.times, start) - 1)
        yield from zip(series.times[at:], series.values[at:], strict=True)


def nice(value: float) -> float:
    """The round number at or above `value`: 1, 2, 2.5 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 2.5, 5) if step * power >= value), 10 * power)


def runs(
    series: Series,
    start: float,
    span: float,
    columns: int,
    scale: float,
    high: float,
    gap: float = math.inf,
) -> list[list[Point]]:
    """Points as (column, share of `high`), at most one a column, a list for each stretch without a gap.

    A gap is a sample that is none, and a silence of more than `gap` seconds. Buckets are cut at multiples
    of their own length since the epoch, not since `start`: a sample never moves to another bucket when the
    window slides, so the picture moves a whole column at a time or not at all.
    """
    length = span / columns
    origin = math.floor(start / length)
    found: list[list[Point]] = []
    before: float | None = None
    """When the point was that the next one joins; None after a gap."""
    edge = series.times[0] if series.times else 0.0
    for t, raw in samples(series, start):
        value = usable(raw, scale)
        column = math.floor(t / length) - origin
        if value is None or column < 0:
            before = None
            continue
        # Thinned samples stand for a stretch: two of them side by side are no silence.
        silence = max(gap, 2 * length, 2 * series.older.length if t <= edge else 0.0)
        joined = before is not None and t - before <= silence
        point = (float(min(column, columns)), min(1.0, value / high))
        if not joined:
            found.append([point])
        elif found[-1][-1][0] == point[0]:
            found[-1][-1] = (point[0], max(point[1], found[-1][-1][1]))
        else:
            found[-1].append(point)
        before = t
    return found
