"""Where events meet: one fold, many listeners."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from core.events import AnyEvent
from core.state import ClusterState, apply

Listener = Callable[[AnyEvent], None]


class Bus:
    """Folds every published event into `state`, then tells the listeners, in order."""

    def __init__(self, state: ClusterState | None = None) -> None:
        self.state = state or ClusterState()
        self._listeners: list[Listener] = []
        self._waiting: deque[AnyEvent] = deque()
        self._passing = False

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event from now on; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def publish(self, event: AnyEvent) -> None:
        """Fold `event` into the state and pass it on.

        What a listener publishes meanwhile comes after: all listeners hear all events in one order.
        """
        self._waiting.append(event)
        if self._passing:
            return
        self._passing = True
        try:
            while self._waiting:
                event = self._waiting.popleft()
                self.state = apply(self.state, event)
                for listener in tuple(self._listeners):
                    listener(event)
        finally:
            self._passing = False

    def reset(self, state: ClusterState) -> None:
        """Jump to another state, as stepping back in a recording does; listeners see it in `state`."""
        self.state = state

    async def until(self, reached: Callable[[ClusterState], bool]) -> ClusterState:
        """Wait until the state satisfies `reached`; returns that state."""
        if reached(self.state):
            return self.state
        found: asyncio.Future[ClusterState] = asyncio.get_running_loop().create_future()

        def look(_: AnyEvent) -> None:
            if not found.done() and reached(self.state):
                found.set_result(self.state)

        unsubscribe = self.subscribe(look)
        try:
            return await found
        finally:
            unsubscribe()
