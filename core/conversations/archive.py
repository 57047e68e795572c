"""The conversations of a console: the one that is shown, and all that are kept."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from core import events as ev
from core.bus import Bus
from core.conversations.keeper import Keeper, reason, stored
from core.conversations.manner import Manner
from core.conversations.store import Store, StoreError
from core.conversations.summary import Summary, summary
from core.request import Sampling
from core.text import clean, clean_line

TITLE = 80
"""Characters of a title."""
SYSTEM = 2**18
LOST = "the console ended before this answer did"

T = TypeVar("T")


class Archive:
    """What `core.intents.Conversations` asks for.

    Without a `folder` conversations live as long as the console. `take` is to hear every event of the bus.
    """

    def __init__(self, bus: Bus, folder: Path | None, sampling: Sampling) -> None:
        self._bus = bus
        self._sampling = sampling
        self._store = Store(folder) if folder is not None else None
        self._keeper = Keeper(bus, self._store) if self._store is not None else None
        self._errands: set[asyncio.Task[object]] = set()

    def start(self) -> None:
        """Begin with an empty conversation."""
        if self._keeper is not None:
            self._bus.subscribe(self._keeper.take)
            self._keeper.start()
            self._run(self._offer())
        self.new()

    async def close(self) -> None:
        """Write what is not written yet."""
        if self._errands:
            await asyncio.wait(self._errands)  # unlike gather, it cancels none of them when it is cancelled
        if self._keeper is not None:
            await self._keeper.close()

    def new(self) -> None:
        manner = Manner(sampling=self._sampling)
        self._bus.publish(
            ev.ConversationStarted(t=time.time(), conversation=secrets.token_hex(4), manner=manner)
        )

    def open(self, conversation: str) -> None:
        if conversation in self._bus.state.conversations:
            self._bus.publish(ev.ConversationOpened(t=time.time(), conversation=conversation))
        else:
            self._run(self._fetch(conversation))

    def tune(self, manner: Manner) -> None:
        self._tune(self._bus.state.conversation, manner)

    def rename(self, conversation: str, title: str) -> None:
        if conversation in self._bus.state.conversations:
            manner = self._bus.state.manners.get(conversation, Manner())
            self._tune(conversation, replace(manner, title=title))
        else:
            self._run(self._rename(conversation, clean_line(title, TITLE)))

    def delete(self, conversation: str) -> None:
        if any(request.conversation == conversation for request in self._bus.state.open):
            self._alert("cannot delete the conversation: an answer is being written in it; end that first")
        else:
            self._run(self._delete(conversation))

    async def all(self) -> list[Summary]:
        # What was asked for before is to be seen in it; one of the errands is what asks.
        if errands := self._errands - {asyncio.current_task()}:
            await asyncio.wait(errands)
        found: dict[str, Summary] = {}
        if self._store is not None and self._keeper is not None:
            async with self._keeper.turn:
                kept, problems = await asyncio.to_thread(_summaries, self._store)
            found = {one.id: one for one in kept}
            for problem in problems:
                self._alert(problem)
        state = self._bus.state
        found |= {id_: summary(stored(state, id_)) for id_, told in state.conversations.items() if told}
        return sorted(found.values(), key=lambda one: one.changed, reverse=True)

    def _tune(self, conversation: str, manner: Manner) -> None:
        manner = replace(manner, title=clean_line(manner.title, TITLE), system=clean(manner.system, SYSTEM))
        self._bus.publish(ev.ConversationTuned(t=time.time(), conversation=conversation, manner=manner))

    async def _fetch(self, conversation: str, *, quietly: bool = False) -> bool:
        """Open it; whether that was possible. `quietly`: nobody has asked for it."""
        known = await self._on_disk("" if quietly else "open", conversation, Store.take)
        if known is not None:
            self._bus.publish(
                ev.ConversationOpened(
                    t=time.time(),
                    conversation=conversation,
                    manner=known.manner,
                    exchanges=tuple(one if one.done else _lost(one) for one in known.exchanges),
                )
            )
        return known is not None

    async def _offer(self) -> None:
        """Open the conversation that was answered in when the console before this one crashed."""
        newest = next(iter(await self.all()), None)
        state = self._bus.state
        if newest is None or not newest.cut or state.conversations.get(state.conversation):
            return
        if await self._fetch(newest.id, quietly=True):
            self._alert("the last answer was cut off when the console ended; C continues it, n starts anew")

    async def _rename(self, conversation: str, title: str) -> None:
        def work(store: Store, id_: str) -> None:
            known = store.take(id_)
            try:
                store.write(replace(known, manner=replace(known.manner, title=title)))
            finally:
                store.release(id_)

        await self._on_disk("rename", conversation, work)

    async def _delete(self, conversation: str) -> None:
        def work(store: Store, id_: str) -> bool:
            store.delete(id_)
            return True

        if self._keeper is not None:
            self._keeper.forget(conversation)
            if not await self._on_disk("delete", conversation, work):
                return
        if conversation in self._bus.state.conversations:
            self._bus.publish(ev.ConversationClosed(t=time.time(), conversation=conversation))
            if not self._bus.state.conversation:
                self.new()

    async def _on_disk(self, verb: str, conversation: str, work: Callable[[Store, str], T]) -> T | None:
        """What `work` makes of a conversation, in a thread; None when it cannot be done, and why it cannot be
        opened, or whatever the `verb` is; nothing without one.
        """
        if self._store is None or self._keeper is None:
            return None
        try:
            async with self._keeper.turn:
                return await asyncio.to_thread(work, self._store, conversation)
        except (StoreError, OSError) as error:
            if verb:
                self._alert(f"cannot {verb} the conversation: {reason(error)}")
            return None

    def _run(self, errand: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _alert(self, text: str) -> None:
        self._bus.publish(ev.Alert(t=time.time(), level="warning", subject="chat", text=text))


def _summaries(store: Store) -> tuple[list[Summary], list[str]]:
    kept, problems = store.all()
    return [summary(one) for one in kept], problems


def _lost(exchange: ev.Exchange) -> ev.Exchange:
    """An exchange that no console will end any more."""
    done = ev.RequestDone(
        t=exchange.started, request=exchange.request, why="error", detail=LOST, tokens=len(exchange.ids)
    )
    return replace(exchange, done=done)
