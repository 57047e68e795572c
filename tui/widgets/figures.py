"""Measured quantities as a person reads them."""

from __future__ import annotations

import time

GIB = 2**30


def latency(us: float) -> str:
    """Microseconds with the unit that suits them: `41 µs`, `1.2 ms`."""
    if us < 1000:
        return f"{us:.0f} µs"
    if us < 1_000_000:
        return f"{us / 1000:.1f} ms"
    return f"{us / 1_000_000:.1f} s"


def gib(count: float) -> str:
    """Bytes in GiB, two digits below ten where one would round them away."""
    value = count / GIB
    return f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """`9 s`, `4 min`, `2 h`: enough for an age."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def clock(seconds: float) -> str:
    """Length of a recording: `1:05`, `1:02:05`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def wall(t: float) -> str:
    """Time of day, local."""
    return time.strftime("%H:%M:%S", time.localtime(t))


def bar(fraction: float, width: int) -> str:
    """A bar of block characters; never empty for a fraction above zero."""
    fraction = min(1.0, max(0.0, fraction))
    full = round(fraction * width)
    if fraction > 0:
        full = max(1, full)
    return "█" * full + "░" * (width - full)
