"""Play a recording onto a bus, in its own time or another."""

from __future__ import annotations

import asyncio
import time
from functools import reduce

from core.bus import Bus
from core.session.format import Recording
from core.state import ClusterState, apply

SLOWEST, FASTEST = 1 / 16, 64.0
CHECKPOINT = 500
"""Events between states kept for stepping back: as many must be folded again at most."""

LONGEST_NAP = 0.05


class Player:
    """A play head on a recording. Publishing forward goes through the bus; jumping back resets its state."""

    def __init__(self, recording: Recording, bus: Bus, speed: float = 1.0) -> None:
        self._recording = recording
        self._bus = bus
        self._checkpoints: list[ClusterState] = [recording.header.state]
        self._position = 0
        self._clock = recording.header.started
        self.paused = False
        self.speed = min(FASTEST, max(SLOWEST, speed))
        bus.reset(recording.header.state)

    @property
    def position(self) -> int:
        return self._position

    @property
    def length(self) -> int:
        return len(self._recording.events)

    @property
    def truncated(self) -> bool:
        return self._recording.truncated

    @property
    def elapsed(self) -> float:
        return self._clock - self._recording.header.started

    @property
    def duration(self) -> float:
        events = self._recording.events
        return events[-1].t - self._recording.header.started if events else 0.0

    def toggle(self) -> None:
        self.paused = not self.paused

    def change_speed(self, factor: float) -> None:
        self.speed = min(FASTEST, max(SLOWEST, self.speed * factor))

    def step(self, events: int) -> None:
        self.paused = True
        self._seek(min(self.length, max(0, self._position + events)))
        if self._position:
            self._clock = self._recording.events[self._position - 1].t
        else:
            self._clock = self._recording.header.started

    async def play(self) -> None:
        """Advance until cancelled; at the end the head rests there, and stepping back still works."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(LONGEST_NAP)
            now = time.monotonic()
            if not self.paused and self._position < self.length:
                self._clock += (now - last) * self.speed
                self._advance()
            last = now

    def to_end(self) -> None:
        """Fold everything that is left, at once."""
        self._seek(self.length)

    def _advance(self) -> None:
        events = self._recording.events
        while self._position < self.length and events[self._position].t <= self._clock:
            self._forward()

    def _forward(self) -> None:
        self._bus.publish(self._recording.events[self._position])
        self._position += 1
        if self._position == len(self._checkpoints) * CHECKPOINT:
            self._checkpoints.append(self._bus.state)

    def _seek(self, position: int) -> None:
        if position < self._position:
            start = position // CHECKPOINT
            passed = self._recording.events[start * CHECKPOINT : position]
            self._bus.reset(reduce(apply, passed, self._checkpoints[start]))
            self._position = position
        while self._position < position:
            self._forward()
