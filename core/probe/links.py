"""What bursts of round trips mean, and which pairs to measure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

import msgspec

from core.events import LinkFailed, LinkMeasured
from core.probe.cables import Path
from core.probe.message import Probed
from core.text import clean_line


class Burst(msgspec.Struct, frozen=True):
    """One burst. `rtts_us` holds the answered trips, ascending, whole round trips in microseconds."""

    id: str
    rtts_us: tuple[float, ...]
    sent: int
    error: str = ""
    local: str = ""
    """The address it came from."""


def burst(message: Probed) -> Burst:
    """The burst in `message`. Raises ValueError where its counts contradict each other."""
    received = len(message.rtts_us)
    if received + message.lost != message.sent:
        raise ValueError(f"{message.sent} trips sent, but {received} answered and {message.lost} lost")
    return Burst(
        id=clean_line(str(message.id)),
        rtts_us=tuple(sorted(message.rtts_us)),
        sent=message.sent,
        error=clean_line(message.error or ""),
        local=clean_line(message.local),
    )


def percentile(ascending: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: always a value that was measured, `share` from 0 to 1.

    Below 100 values the 99th is the largest. Raises ValueError for no values.
    """
    if not ascending:
        raise ValueError("no values")
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


def measured(
    burst: Burst, *, source: str, target: str, path: Path, address: str, t: float
) -> LinkMeasured | LinkFailed:
    """The event that `burst` amounts to: failed only when not a single answer came."""
    if not burst.rtts_us:
        reason = burst.error or f"none of {burst.sent} messages was answered in time"
        return LinkFailed(t=t, source=source, target=target, reason=reason, address=address)
    return LinkMeasured(
        t=t,
        source=source,
        target=target,
        kind=path.kind,
        source_interface=path.source,
        target_interface=path.target,
        address=address,
        local=burst.local,
        sent=burst.sent,
        received=len(burst.rtts_us),
        min_us=burst.rtts_us[0],
        p50_us=percentile(burst.rtts_us, 0.5),
        p99_us=percentile(burst.rtts_us, 0.99),
    )


def pairs(devices: Iterable[str]) -> list[tuple[str, str]]:
    """Each unordered pair once: a round trip measures both ways. Of three or more each device is asked by
    some other, so that one slow to answer shows wherever it stands in the list."""
    names = sorted(set(devices))
    return [(a, b) if (j - i) % 2 else (b, a) for (i, a), (j, b) in combinations(enumerate(names), 2)]
