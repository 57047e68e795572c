"""The conversation: what was said, which of it is chosen, and where to write."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Click, Key
from textual.message import Message
from textual.widgets import Static

from core.state import ClusterState, Request
from tui import keymap
from tui.widgets.chathead import ChatHead
from tui.widgets.composer import Composer
from tui.widgets.exchange import Exchange

KEPT = 60
"""Exchanges on the screen; older ones stay in the state and on disk."""
STEP = 4
"""Rows that one key scrolls an exchange that is longer than the screen."""

Wish = Literal["edit", "again", "resume", "copy", "code"]


class ChatLog(VerticalScroll):
    """The exchanges of the current conversation, one of them chosen: the last, until another one is."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.CHAT)

    @dataclass
    class Asked(Message):
        """Something is to be done about an exchange."""

        wish: Wish
        request: Request

    def __init__(self) -> None:
        super().__init__(id="chatlog")
        self._exchanges: dict[str, Exchange] = {}
        self._hint = ""
        self._chosen: str | None = None
        self._drawing = asyncio.Lock()
        """A key of a replay draws beside the timer, and what one of them removes the other must not."""

    def compose(self) -> ComposeResult:
        """A line for the empty conversation, and one for what is not on the screen."""
        yield Static("", id="nothing", markup=False)
        yield Static("", id="earlier", markup=False)

    async def draw(self, state: ClusterState, hint: str) -> None:
        """Show the current conversation of `state`; `hint` where it is empty."""
        async with self._drawing:
            await self._draw(state, hint)

    async def _draw(self, state: ClusterState, hint: str) -> None:
        known = state.conversations.get(state.conversation, ())
        ids = known[-KEPT:]
        self._note(ids, len(known) - len(ids), hint)
        for gone in [key for key in self._exchanges if key not in ids]:
            await self._exchanges.pop(gone).remove()
        if self._chosen not in ids:
            self._chosen = None
        behind: Exchange | None = None
        for key in reversed(ids):
            request = state.requests[key]
            exchange = self._exchanges.get(key)
            if exchange is None:
                width = self.scrollable_content_region.width - 2
                exchange = self._exchanges[key] = Exchange(request, state, width)
                await self.mount(exchange, before=behind)
                self.anchor()
                await asyncio.sleep(0)  # a long conversation must not hold up a key
            exchange.draw(request, state)
            behind = exchange
        self._exchanges = {key: self._exchanges[key] for key in ids}
        self._mark()

    def _note(self, ids: tuple[str, ...], hidden: int, hint: str) -> None:
        nothing, earlier = self.query_one("#nothing", Static), self.query_one("#earlier", Static)
        nothing.display, earlier.display = not ids, hidden > 0
        if not ids and hint != self._hint:
            self._hint = hint
            nothing.update(Content(hint))
        if hidden > 0:
            earlier.update(Content(f"{hidden} earlier exchange{'' if hidden == 1 else 's'} not shown"))

    @property
    def chosen(self) -> Exchange | None:
        """What keys are about."""
        if self._chosen is not None:
            return self._exchanges.get(self._chosen)
        return next(reversed(self._exchanges.values()), None)

    def _mark(self) -> None:
        """The choice is shown where keys go to it."""
        chosen = self.chosen if self.has_focus else None
        for exchange in self._exchanges.values():
            exchange.chosen = exchange is chosen

    def on_focus(self) -> None:
        """Show the choice, as soon as `has_focus` is so: Textual sets it after this."""
        self.call_later(self._mark)

    def on_blur(self) -> None:
        """Keys go elsewhere."""
        self.call_later(self._mark)

    def on_click(self, event: Click) -> None:
        """Choose by mouse."""
        for key, exchange in self._exchanges.items():
            if event.widget is exchange:
                self._chosen = key
                self._mark()

    def action_choose(self, step: int) -> None:
        """Scroll within the chosen exchange as long as there is more of it that way, then choose the next."""
        chosen = self.chosen
        if chosen is None:
            return
        view = self.scrollable_content_region.height
        top = chosen.virtual_region.y - self.scroll_offset.y
        if (step < 0 and top < 0) or (step > 0 and top + chosen.size.height > view):
            self.scroll_relative(y=step * STEP, animate=False)
            return
        keys = list(self._exchanges)
        at = keys.index(chosen.request.id) + step
        if 0 <= at < len(keys):
            self._choose(keys[at], top=step > 0)
        elif step < 0:
            self.scroll_home(animate=False)

    def action_end_of(self, step: int) -> None:
        """Choose the first or the last."""
        keys = list(self._exchanges)
        if keys:
            self._choose(keys[0 if step < 0 else -1], top=step < 0)

    def _choose(self, key: str, *, top: bool) -> None:
        self._chosen = key
        self._mark()
        exchange = self._exchanges[key]
        region = exchange.virtual_region
        view = self.scrollable_content_region.height
        if key == next(reversed(self._exchanges)) and not top:
            self.anchor()
        y = region.y if top or region.height > view else region.bottom - view
        # As little as shows it; of one that is too long its beginning, or its end when coming from below.
        if region.y < self.scroll_offset.y or region.bottom > self.scroll_offset.y + view:
            self.scroll_to(y=y if top else region.bottom - view, animate=False)

    def action_wish(self, wish: Wish) -> None:
        """Have something done about the choice."""
        if (chosen := self.chosen) is not None:
            self.post_message(self.Asked(wish, chosen.request))

    def action_thought(self) -> None:
        """Show or hide what the model thought."""
        if (chosen := self.chosen) is not None and chosen.request.thought:
            chosen.opened = not chosen.opened
            chosen.redraw()


class ChatPane(Vertical):
    """The conversation and where to write."""

    BORDER_TITLE = "2 Chat"

    class Wanted(Message):
        """The composer is wanted."""

    def compose(self) -> ComposeResult:
        """What it is about, what was said, and the composer."""
        yield ChatHead(id="chathead")
        yield ChatLog()
        yield Composer()

    def on_key(self, event: Key) -> None:
        """Enter on the messages goes to the composer."""
        if event.key == "enter" and not self.query_one(Composer).has_focus:
            event.stop()
            self.post_message(self.Wanted())
