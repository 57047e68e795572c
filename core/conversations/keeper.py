"""Keeps the files of conversations up to date while things are said in them."""

from __future__ import annotations

import asyncio
import contextlib
import time

from core import events as ev
from core.bus import Bus
from core.conversations.manner import Manner
from core.conversations.store import Store, Stored, StoreError
from core.state import ClusterState, Request

EVERY_S = 1.0
"""A conversation is written at most so often while an answer grows: that much a crash can cost."""
RETRY_S = 5.0
"""Between attempts on a disk that takes nothing."""


def stored(state: ClusterState, conversation: str) -> Stored:
    """A conversation of the state as its file has it."""
    requests = [state.requests[id_] for id_ in state.conversations[conversation]]
    return Stored(
        id=conversation,
        changed=max((r.done.t if r.done else r.started for r in requests), default=0.0),
        manner=state.manners.get(conversation, Manner()),
        exchanges=tuple(map(_exchange, requests)),
    )


def _exchange(request: Request) -> ev.Exchange:
    return ev.Exchange(
        request=request.id,
        prompt=request.prompt,
        started=request.started,
        text=request.text,
        thought=request.thought,
        ids=() if request.done else request.ids,
        model="" if request.done else request.model,
        done=request.done,
    )


def reason(error: StoreError | OSError) -> str:
    """What a person should know of an error."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


class Keeper:
    """Hears every event of the bus in `take`; writes between `start` and `close`.

    A conversation that was left, and has no answer to come, is let go of: other consoles can have it.
    """

    def __init__(self, bus: Bus, store: Store) -> None:
        self.turn = asyncio.Lock()
        """One thing at a time is done to the files."""
        self._bus = bus
        self._store = store
        self._dirty: set[str] = set()
        self._soon, self._now = asyncio.Event(), asyncio.Event()
        self._closing = False
        self._failure = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write, in the running loop."""
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Write what is not written yet, and let go of everything."""
        if self._task is not None:
            self._closing = True
            self._soon.set()
            self._now.set()
            # Whoever waits may be cancelled; what is being written is not to end with him.
            await asyncio.shield(self._task)
            self._task = None
        self._store.close()

    def take(self, event: ev.AnyEvent) -> None:
        """Note which conversation has changed."""
        match event:
            case ev.TokensStreamed():
                request = self._bus.state.requests.get(event.request)
                if request is None or not request.conversation:
                    return
                self._dirty.add(request.conversation)
            case ev.RequestStarted() | ev.RequestDone():
                request = self._bus.state.requests.get(event.request)
                if request is None or not request.conversation:
                    return
                self._dirty.add(request.conversation)
                self._now.set()
            case ev.ConversationTuned():
                self._dirty.add(event.conversation)
                self._now.set()
            case ev.ConversationStarted() | ev.ConversationOpened():
                self._now.set()
            case _:
                return
        self._soon.set()

    def forget(self, conversation: str) -> None:
        """It is not to be written any more."""
        self._dirty.discard(conversation)

    async def _work(self) -> None:
        while True:
            await self._soon.wait()
            self._soon.clear()
            self._now.clear()
            await self._write()
            if self._closing:
                if self._soon.is_set():  # what came while it was being written
                    continue
                return
            self._part()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S if self._failure else EVERY_S):
                    await self._now.wait()
            if self._dirty:
                self._soon.set()

    async def _write(self) -> None:
        failure = ""
        for conversation in tuple(self._dirty):
            async with self.turn:
                # It may have been deleted while others were written.
                state = self._bus.state
                if conversation not in self._dirty or conversation not in state.conversations:
                    continue
                self._dirty.discard(conversation)
                try:
                    await asyncio.to_thread(self._store.write, stored(state, conversation))
                except (StoreError, OSError) as error:
                    self._dirty.add(conversation)
                    failure = reason(error)
        if failure and failure != self._failure:
            text = f"conversations cannot be kept: {failure}; they go on in memory, and it is tried again"
            self._say("error", text)
        elif self._failure and not failure:
            self._say("info", "conversations are kept again")
        self._failure = failure

    def _part(self) -> None:
        state = self._bus.state
        busy = {request.conversation for request in state.open}
        for conversation in state.conversations:
            if conversation != state.conversation and conversation not in busy | self._dirty:
                self._store.release(conversation)
                self._bus.publish(ev.ConversationClosed(t=time.time(), conversation=conversation))

    def _say(self, level: ev.Level, text: str) -> None:
        self._bus.publish(ev.Alert(t=time.time(), level=level, subject="chat", text=text))
