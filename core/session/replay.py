"""Play a recording onto a bus, in its own time or another."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left, bisect_right
from itertools import accumulate

from core.bus import Bus
from core.session.format import Recording
from core.session.keyframes import Keyframes
from core.session.marks import Mark, marks

SLOWEST, FASTEST = 1 / 16, 64.0
LONGEST_NAP = 0.05
OPENING_S = 0.4
"""For folding states while a recording is opened: enough for ten minutes of four devices, any moment of which
is then at hand."""
AHEAD_S = 0.01
"""Of every nap, for folding states ahead of the play head: a later jump is then at hand."""


class Player:
    """A play head on a recording. Playing publishes through the bus; every jump resets its state."""

    def __init__(self, recording: Recording, bus: Bus, speed: float = 1.0) -> None:
        self._recording = recording
        self._bus = bus
        self._keyframes = Keyframes(recording)
        self._keyframes.fold_ahead(OPENING_S)
        start = recording.header.started
        # A clock that was set back in mid-session does not turn the film back.
        self._times = list(accumulate((event.t for event in recording.events), max, initial=start))[1:]
        self.marks: tuple[Mark, ...] = marks(recording.events, start)
        self._position = 0
        self._clock = start
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
        return self._times[-1] - self._recording.header.started if self._times else 0.0

    def toggle(self) -> None:
        self.paused = not self.paused

    def change_speed(self, factor: float) -> None:
        self.speed = min(FASTEST, max(SLOWEST, self.speed * factor))

    def step(self, events: int) -> None:
        self.paused = True
        self._go(min(self.length, max(0, self._position + events)))

    def seek(self, elapsed: float) -> None:
        start = self._recording.header.started
        clock = start + min(self.duration, max(0.0, elapsed))
        self._go(bisect_right(self._times, clock))
        self._clock = clock

    def jump(self, step: int) -> Mark | None:
        places = [mark.position for mark in self.marks]
        at = bisect_right(places, self._position) if step > 0 else bisect_left(places, self._position) - 1
        if not 0 <= at < len(places):
            return None
        self._go(places[at])
        return self.marks[at]

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
            self._keyframes.fold_ahead(AHEAD_S)

    def to_end(self) -> None:
        """Fold everything that is left, at once."""
        self._go(self.length)

    def _advance(self) -> None:
        while self._position < self.length and self._times[self._position] <= self._clock:
            self._bus.publish(self._recording.events[self._position])
            self._position += 1

    def _go(self, position: int) -> None:
        self._bus.reset(self._keyframes.at(position))
        self._position = position
        self._clock = self._times[position - 1] if position else self._recording.header.started
