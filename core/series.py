"""Ten minutes of a measured quantity."""

from __future__ import annotations

import msgspec

SPAN = 600.0
"""Seconds kept."""


class Series(msgspec.Struct, frozen=True):
    """Samples in order of time. A value of None is a gap: nothing was measured then."""

    times: tuple[float, ...] = ()
    values: tuple[float | None, ...] = ()
    total: int = 0
    """Samples ever pushed, also those dropped since."""

    def push(self, t: float, value: float | None) -> Series:
        """The series with one more sample, without those older than `SPAN`."""
        drop = 0
        while drop < len(self.times) and self.times[drop] < t - SPAN:
            drop += 1
        return Series((*self.times[drop:], t), (*self.values[drop:], value), self.total + 1)

    @property
    def last(self) -> float | None:
        """The newest value, None when there is none or it is a gap."""
        return self.values[-1] if self.values else None

    @property
    def held(self) -> int:
        """How many samples are values rather than gaps."""
        return sum(value is not None for value in self.values)
