"""The answers being made for clients: events of the bus, sorted by whom they are for."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from core import events as ev
from core.bus import Bus
from core.request import Prompt, Sampling, Source

WAITING = 512
"""Pieces of an answer kept for a client that does not take them; then it gets no more."""


class Engine(Protocol):
    """What answers: the cluster."""

    bus: Bus

    def submit(self, prompt: Prompt, sampling: Sampling, source: Source) -> str:
        """Put a request to the model; returns its id. Raises NotTaken."""
        ...

    def withdraw(self, request: str) -> None:
        """End the answer to a request."""
        ...


class Answer:
    """One request's answer as it comes. Leaving its `with` block ends a request that is not done."""

    def __init__(self, answers: Answers, request: str) -> None:
        self.request = request
        self.done: ev.RequestDone | None = None
        self.overrun = asyncio.Event()
        """More has come than the client was ready to take; the rest is lost."""
        self._answers = answers
        self._pieces: deque[ev.TokensStreamed] = deque()
        self._begun = asyncio.Event()
        self._news = asyncio.Event()

    def hear(self, event: ev.PrefillProgressed | ev.TokensStreamed | ev.RequestDone) -> None:
        """Something about this request."""
        if self.done is not None or self.overrun.is_set():
            return
        match event:
            case ev.TokensStreamed() if len(self._pieces) >= WAITING:
                self._pieces.clear()
                self.overrun.set()
            case ev.TokensStreamed():
                self._pieces.append(event)
            case ev.RequestDone():
                self.done = event
            case ev.PrefillProgressed():
                pass
        self._begun.set()
        self._news.set()

    async def begun(self) -> None:
        """Wait until the request is known to be answered, or not to be."""
        await self._begun.wait()

    async def pieces(self) -> AsyncIterator[ev.TokensStreamed]:
        """What comes, to the end; then `done` is set."""
        while self._pieces or self.done is None:
            if self._pieces:
                yield self._pieces.popleft()
            else:
                self._news.clear()
                await self._news.wait()

    @property
    def failure(self) -> str:
        """Why there is no more to this answer than what has come, if it did not end as answers do."""
        if self.done is None or self.done.why in ("stop", "length"):
            return ""
        return self.done.detail or ("the request was cancelled" if self.done.why == "cancel" else "it failed")

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close(self)


class Answers:
    """Asks for answers and hands each its events."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open: dict[str, Answer] = {}
        self._unsubscribe = engine.bus.subscribe(self._hear)

    def open(self, prompt: Prompt, sampling: Sampling) -> Answer:
        """Ask. Raises NotTaken."""
        request = self._engine.submit(prompt, sampling, "api")
        answer = self._open[request] = Answer(self, request)
        return answer

    def close(self, answer: Answer) -> None:
        """Nobody waits for this answer any more."""
        del self._open[answer.request]
        if answer.done is None:
            self._engine.withdraw(answer.request)

    @property
    def running(self) -> bool:
        """There is a model to answer."""
        run = self._engine.bus.state.run
        return run is not None and run.live and run.ready is not None

    def end(self) -> None:
        """Tell everybody who waits that no more will come."""
        self._unsubscribe()
        for answer in self._open.values():
            self._engine.withdraw(answer.request)
            answer.hear(
                ev.RequestDone(
                    t=time.time(), request=answer.request, why="cancel", detail="the server was stopped"
                )
            )

    def _hear(self, event: ev.AnyEvent) -> None:
        if isinstance(event, ev.PrefillProgressed | ev.TokensStreamed | ev.RequestDone):
            answer = self._open.get(event.request)
            if answer is not None:
                answer.hear(event)
