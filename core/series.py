"""A measured quantity over time: ten minutes as measured, what is older thinned but never thrown away."""

from __future__ import annotations

import math

import msgspec

SPAN = 600.0
"""Seconds kept as measured."""
SLACK = 30.0
"""Seconds more before the oldest go to the thinned ones, so that not each sample moves all of them."""
BUCKET = 10.0
"""Seconds of the first thinned samples."""
MOST = 720
"""Thinned samples kept; when there are more, two become one: two hours in steps of 10 s, a week of 15 min."""


class Thinned(msgspec.Struct, frozen=True):
    """The largest value of each stretch of `length` seconds, None where nothing was measured in it."""

    times: tuple[float, ...] = ()
    """When each stretch began: multiples of `length`."""
    values: tuple[float | None, ...] = ()
    length: float = BUCKET

    def push(self, samples: list[tuple[float, float | None]]) -> Thinned:
        """With more samples, all later than those it has."""
        length = self.length
        merged = _buckets([*zip(self.times, self.values, strict=True), *samples], length)
        while len(merged) > MOST:
            length *= 2
            merged = _buckets(merged, length)
        return Thinned(tuple(t for t, _ in merged), tuple(v for _, v in merged), length)


def _buckets(samples: list[tuple[float, float | None]], length: float) -> list[tuple[float, float | None]]:
    found: list[tuple[float, float | None]] = []
    for t, value in samples:
        start = math.floor(t / length) * length
        if not found or found[-1][0] != start:
            found.append((start, value))
        elif value is not None and (found[-1][1] is None or value > found[-1][1]):
            found[-1] = (start, value)
    return found


class Series(msgspec.Struct, frozen=True):
    """Samples in order of time. A value of None is a gap: nothing was measured then."""

    times: tuple[float, ...] = ()
    values: tuple[float | None, ...] = ()
    total: int = 0
    """Samples ever pushed."""
    older: Thinned = Thinned()
    """What is no longer in `times` and `values`."""

    def push(self, t: float, value: float | None) -> Series:
        """The series with one more sample; those older than `SPAN` are thinned."""
        older, drop = self.older, 0
        if self.times and self.times[0] < t - SPAN - SLACK:
            while drop < len(self.times) and self.times[drop] < t - SPAN:
                drop += 1
            older = older.push(list(zip(self.times[:drop], self.values[:drop], strict=True)))
        return Series((*self.times[drop:], t), (*self.values[drop:], value), self.total + 1, older)

    @property
    def last(self) -> float | None:
        """The newest value, None when there is none or it is a gap."""
        return self.values[-1] if self.values else None

    @property
    def first(self) -> float | None:
        """When the oldest sample was, thinned or not; None without any."""
        return (self.older.times or self.times or (None,))[0]

    @property
    def held(self) -> int:
        """How many samples are values rather than gaps."""
        return sum(value is not None for value in self.values)
