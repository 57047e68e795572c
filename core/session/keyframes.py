"""States along a recording, so that any moment of it is a few folds away."""

from __future__ import annotations

import time
from functools import reduce

from core.session.format import Recording
from core.state import ClusterState, apply

APART = 500
"""Events between keyframes, at least: folding as many takes some 3 ms."""
MOST = 200
"""Keyframes, which bounds what they hold of a session of many hours: each has ten minutes of series of its
own, some 0.2 MB at four devices."""


class Keyframes:
    """Every so many events a state, folded when it is wanted or when there is time."""

    def __init__(self, recording: Recording) -> None:
        self._events = recording.events
        self._apart = max(APART, -(-len(self._events) // MOST))
        self._states = [recording.header.state]

    @property
    def complete(self) -> bool:
        """No keyframe is missing."""
        return len(self._states) * self._apart > len(self._events)

    def fold_ahead(self, seconds: float) -> None:
        """Spend about so many seconds on keyframes that nobody has asked for yet."""
        end = time.perf_counter() + seconds
        while not self.complete and time.perf_counter() < end:
            self._next()

    def at(self, position: int) -> ClusterState:
        """The state after the first `position` events."""
        place = position // self._apart
        while len(self._states) <= place:
            self._next()
        start = place * self._apart
        return reduce(apply, self._events[start:position], self._states[place])

    def _next(self) -> None:
        start = (len(self._states) - 1) * self._apart
        self._states.append(reduce(apply, self._events[start : start + self._apart], self._states[-1]))
