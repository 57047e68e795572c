"""Keys that come faster than what they begin: over a slow link a few arrive in one packet.

Textual hands each key to what has the focus at that moment, before the key in front of it has opened the
line it was meant for: of `:help` the `l` would launch the plan.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from textual.events import Event
from textual.message import Message
from textual.message_pump import MessagePump
from textual.timer import Timer

ROUNDS = 2
"""The first comes back when the key's own handlers are done, the second when the messages they sent are."""
LOOK_S = 0.02
"""How often to look whether a round is lost: with a dialog that closes goes what was in its queue."""
PATIENCE_S = 0.5
"""After so long the next key goes on all the same: a handler that waits must not take the keyboard away."""


class Settled(Message):
    """Follows a key through the same queues, so that it arrives at the app when the key is dealt with."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class TypeAhead:
    """Lets one key through at a time.

    `front`: what gets a key now. `send`: puts an event into the app's queue. `later`: calls back after
    seconds.
    """

    def __init__(
        self,
        front: Callable[[], MessagePump],
        send: Callable[[Event], object],
        later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self._front = front
        self._send = send
        self._later = later
        self._waiting: deque[Event] = deque()
        self._due: Event | None = None
        self._busy = False
        self._target: MessagePump | None = None
        self._rounds = 0
        self._number = 0
        self._looks = 0
        self._timer: Timer | None = None

    def holds(self, event: Event) -> bool:
        """Whether `event` has to wait; it comes again when it is its turn."""
        if not self._busy or event is self._due:
            return False
        self._waiting.append(event)
        return True

    def sent(self) -> None:
        """A key was handed on: wait for what comes of it."""
        self._busy, self._due = True, None
        self._looks = 0
        self._timer = self._later(LOOK_S, self._look)
        self._begin()

    def settled(self, message: Settled) -> None:
        """A round came back. What it went through may have moved the focus: then it begins anew."""
        if message.number != self._number:
            return
        if self._target is not self._front():
            self._begin()
        elif self._rounds < ROUNDS:
            self._round()
        else:
            self._next()

    def _begin(self) -> None:
        self._target, self._rounds = self._front(), 0
        self._round()

    def _round(self) -> None:
        self._rounds += 1
        self._number += 1
        assert self._target is not None
        self._target.post_message(Settled(self._number))

    def _look(self) -> None:
        if not self._busy or self._due is not None:
            return  # it was on its way when its timer was stopped
        self._looks += 1
        if self._looks * LOOK_S >= PATIENCE_S:
            self._next()
            return
        self._timer = self._later(LOOK_S, self._look)
        if self._target is not self._front():
            self._begin()

    def _next(self) -> None:
        self._number += 1  # a round that is still on its way belongs to nothing
        if self._timer is not None:
            self._timer.stop()
        self._busy = bool(self._waiting)
        if self._waiting:
            self._due = self._waiting.popleft()
            self._send(self._due)
