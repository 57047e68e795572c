# pyright: basic
"""Where a rank's time goes."""

from __future__ import annotations

import time

import mlx.core as mx

from .control import Channel


class Clock:
    """Seconds the rank has spent computing, and waiting for or handing over to its neighbours."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._seconds = {"busy": 0.0, "waiting": 0.0, "idle": 0.0}
        self._state, self._since = "idle", time.perf_counter()

    def now(self, state: str) -> None:
        """From here on "busy", "waiting", or "idle" with nothing to answer."""
        moment = time.perf_counter()
        self._seconds[self._state] += moment - self._since
        self._state, self._since = state, moment
        self._channel.now(state, self._channel.step + (state == "busy"))

    def read(self, state: str) -> float:
        """Seconds spent in a state so far."""
        since = time.perf_counter() - self._since if state == self._state else 0.0
        return self._seconds[state] + since


class Meter:
    """One request's part of a rank's time. What serves several requests counts in full for each of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waited = clock.read("waiting")
        self._computed = 0.0
        self._begun = 0.0
        self._steps = self._merged = 0

    def begin(self, rows: int = 1) -> None:
        """What is computed from here is for so many requests, this one among them."""
        self._clock.now("busy")
        self._begun = self._clock.read("busy")
        self._steps += 1
        self._merged += rows > 1

    def end(self, state: str = "waiting") -> None:
        """Up to here."""
        self._clock.now(state)
        self._computed += self._clock.read("busy") - self._begun

    def report(self, channel: Channel, request: str) -> None:
        """Send the totals."""
        channel.emit(
            "timed",
            id=request,
            compute_s=round(self._computed, 6),
            wait_s=round(self._clock.read("waiting") - self._waited, 6),
            steps=self._steps,
            merged=self._merged,
            peak=mx.get_peak_memory(),
        )
