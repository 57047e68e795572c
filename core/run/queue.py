"""The requests without an end, in the order they came, and what it takes to ask a run for them again."""

from __future__ import annotations

import time
from typing import NamedTuple

from core import events as ev
from core.bus import Bus
from core.request import Prompt, Sampling
from core.run.launch import Begun, Run


class Asked(NamedTuple):
    """A request as it was put."""

    prompt: Prompt
    sampling: Sampling
    after: str = ""
    """A run that was being stopped already: its end is not that of this request."""


class Queue:
    """Call `consider` for every event. What was streamed of an answer is in the state: its checkpoint."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._asked: dict[str, Asked] = {}
        self._withdrawn: set[str] = set()
        """Those that a run was told to end, and has not ended yet."""

    def add(self, request: str, asked: Asked) -> None:
        """Keep a request until it is done."""
        self._asked[request] = asked
        self._withdrawn.discard(request)

    def put(self, request: str, run: Run) -> None:
        """Ask a run for an answer, or for the rest of it."""
        prompt, sampling, _ = self._asked[request]
        known = self._bus.state.requests[request]
        ttft = known.first - known.started if known.first else None  # another console has seen it come
        begun = Begun(known.ids, ttft) if known.ids else None
        run.generate(request, prompt, sampling, begun)

    def put_all(self, run: Run) -> None:
        """Ask for everything that is open and was not asked for yet, in the order of the queue."""
        places = {one.id: place for place, one in enumerate(self._bus.state.queue)}
        for request in sorted(self._asked, key=lambda one: places.get(one, len(places))):
            if not run.answers(request):
                self.put(request, run)

    def withdraw(self, request: str, run: Run | None) -> None:
        """Nobody wants the answer any more: the run ends it, unless it fails before that."""
        if run is not None and run.answers(request):
            self._withdrawn.add(request)
            run.cancel(request)
        else:
            self.end_one(request, "cancel")

    def hold(self) -> None:
        """The run is gone and another one is to come, which goes on in the same order."""
        wanted = [one.id for one in self._bus.state.queue if one.id in self._asked]
        self._bus.publish(ev.QueueOrdered(t=time.time(), requests=tuple(wanted)))
        for request in tuple(self._asked):
            if request in self._withdrawn:
                self.end_one(request, "cancel")
            else:
                self.reopen(request)

    def reopen(self, request: str) -> None:
        """There is more to come of an answer."""
        self._bus.publish(ev.RequestHeld(t=time.time(), request=request))

    def end(self, why: ev.DoneReason, detail: str, run: str | None = None) -> None:
        """End the requests that nobody is going to answer any more: all, or those that end with a run."""
        for request, asked in tuple(self._asked.items()):
            if run is not None and asked.after == run:
                continue
            if request in self._withdrawn:
                self.end_one(request, "cancel")
            else:
                self.end_one(request, why, detail)

    def end_one(self, request: str, why: ev.DoneReason, detail: str = "") -> None:
        """End one of them; nothing happens where it has ended."""
        if self._asked.pop(request, None) is None:
            return
        self._withdrawn.discard(request)
        known = self._bus.state.requests.get(request)
        tokens = len(known.ids) if known else 0
        done = ev.RequestDone(t=time.time(), request=request, why=why, detail=detail, tokens=tokens)
        self._bus.publish(done)

    def consider(self, event: ev.AnyEvent) -> None:
        """Forget what is done."""
        if isinstance(event, ev.RequestDone):
            self._asked.pop(event.request, None)
            self._withdrawn.discard(event.request)
