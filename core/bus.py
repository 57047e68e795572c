"""Where events meet: one fold, many listeners."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path

from core.events import Alert, AnyEvent
from core.state import ClusterState, apply
from core.text import clean_line

Listener = Callable[[AnyEvent], None]


class Bus:
    """Folds every published event into `state`, then tells the listeners, in order."""

    def __init__(self, state: ClusterState | None = None) -> None:
        self.state = state or ClusterState()
        self._listeners: list[Listener] = []
        self._waiting: deque[AnyEvent] = deque()
        self._passing = False
        self._complained: set[str] = set()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event from now on; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def publish(self, event: AnyEvent) -> None:
        """Fold `event` into the state and pass it on.

        What a listener publishes meanwhile comes after: all listeners hear all events in one order. One that
        raises costs neither the others the event nor the publisher, which may be all that reads a rank, its
        life: it is a defect of ours, and said once.
        """
        self._waiting.append(event)
        if self._passing:
            return
        self._passing = True
        try:
            while self._waiting:
                event = self._waiting.popleft()
                for hear in (self._fold, *self._listeners):
                    try:
                        hear(event)
                    except Exception as error:
                        self._complain(error)
        finally:
            self._passing = False

    def _fold(self, event: AnyEvent) -> None:
        self.state = apply(self.state, event)

    def _complain(self, error: Exception) -> None:
        at = traceback.extract_tb(error.__traceback__)[-1]
        text = clean_line(f"{type(error).__name__} in {Path(at.filename).name}:{at.lineno}: {error}")
        if text not in self._complained:
            self._complained.add(text)
            self.publish(Alert(t=time.time(), level="error", subject="console", text=text))

    def reset(self, state: ClusterState) -> None:
        """Jump to another state, as stepping back in a recording does; listeners see it in `state`."""
        self.state = state

    async def until(self, reached: Callable[[ClusterState], bool]) -> ClusterState:
        """Wait until the state satisfies `reached`; returns that state."""
        if reached(self.state):
            return self.state
        found: asyncio.Future[ClusterState] = asyncio.get_running_loop().create_future()

        def look(_: AnyEvent) -> None:
            if found.done():
                return
            try:
                if reached(self.state):
                    found.set_result(self.state)
            except Exception as error:  # of interest to whoever waits, and nobody else
                found.set_exception(error)

        unsubscribe = self.subscribe(look)
        try:
            return await found
        finally:
            unsubscribe()
