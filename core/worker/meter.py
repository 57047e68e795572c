# pyright: basic
"""Where a rank's time goes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .control import Channel


class Clock:
    """Seconds the rank has spent computing, waiting for its neighbours, and handing over to them."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._seconds = {"busy": 0.0, "waiting": 0.0, "sending": 0.0, "idle": 0.0}
        self._state, self._since = "idle", time.perf_counter()
        self._steps = self._rows = 0
        self._told = self._totals()
        channel.measured = self.interval

    def now(self, state: str) -> None:
        """From here on "busy", "waiting", "sending", or "idle" with nothing to answer."""
        moment = time.perf_counter()
        self._seconds[self._state] += moment - self._since
        self._state, self._since = state, moment
        # To hand over is to wait for a neighbour that takes it.
        self._channel.now("waiting" if state == "sending" else state, self._channel.step + (state == "busy"))

    def read(self, *states: str) -> float:
        """Seconds spent in these states so far."""
        since = time.perf_counter() - self._since if self._state in states else 0.0
        return sum(self._seconds[state] for state in states) + since

    def begin(self, meters: Sequence[Meter], *, decoding: bool) -> None:
        """A step begins, for these requests: a token of each, or a piece of one's prompt."""
        self.now("busy")
        self._steps += 1
        self._rows += len(meters)
        for meter in meters:
            meter.begin(len(meters), decoding)

    def end(self, meters: Sequence[Meter], state: str) -> None:
        """It is computed."""
        self.now(state)
        for meter in meters:
            meter.end()

    def interval(self) -> dict[str, Any]:
        """Since the last call: steps, requests a step, seconds. Called from one thread, that of the beats."""
        before, self._told = self._told, self._totals()
        steps, rows, *seconds = (now - then for now, then in zip(self._told, before, strict=True))
        compute, wait, send = (round(max(0.0, one), 6) for one in seconds)
        occupancy = round(rows / steps, 3) if steps else 0.0
        return {"steps": int(steps), "rows": occupancy, "compute_s": compute, "wait_s": wait, "send_s": send}

    def _totals(self) -> tuple[float, ...]:
        return (self._steps, self._rows, *map(self.read, ("busy", "waiting", "sending")))


class Meter:
    """One request's part of a rank's time. What serves several requests counts in full for each of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waited, self._sent = clock.read("waiting", "sending"), clock.read("sending")
        self._computed = self._decoded = 0.0
        self._begun, self._open = 0.0, 0
        self._steps = self._merged = self._tokens = 0
        self._decoding = False

    def begin(self, rows: int, decoding: bool) -> None:
        """What is computed from here is for so many requests, this one among them."""
        self._decoding = decoding
        if not self._open:  # a step begun while another is under way computes behind it
            self._begun = self._clock.read("busy")
        self._open += 1
        self._steps += 1
        self._merged += rows > 1
        self._tokens += decoding

    def end(self) -> None:
        """Up to here."""
        now = self._clock.read("busy")
        seconds, self._begun = now - self._begun, now
        self._open -= 1
        self._computed += seconds
        self._decoded += seconds * self._decoding

    def report(self, channel: Channel, request: str) -> None:
        """Send the totals."""
        channel.emit(
            "timed",
            id=request,
            compute_s=round(self._computed, 6),
            wait_s=round(self._clock.read("waiting", "sending") - self._waited, 6),
            send_s=round(self._clock.read("sending") - self._sent, 6),
            steps=self._steps,
            merged=self._merged,
            decode_s=round(self._decoded, 6),
            decode_steps=self._tokens,
            peak=mx.get_peak_memory(),
        )
