"""The list of conversations: to open, name, search and delete."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import work
from textual.binding import BindingType

from core.conversations.summary import Summary
from core.intents import Conversations
from tui import keymap
from tui.host import app_of
from tui.screens.entry import Entry
from tui.screens.listing import ListScreen
from tui.screens.question import Question
from tui.widgets.cells import Cell, table
from tui.widgets.picklist import Picklist


def when(changed: float, now: float) -> str:
    """Time of day for what was today, else the date."""
    then, today = time.localtime(changed), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%d %b" if then[0] == today[0] else "%Y-%m-%d", then)


def found(summaries: list[Summary], words: list[str]) -> list[Summary]:
    """Those in which every one of `words` was said, or is in the title."""
    return [one for one in summaries if all(word in one.words for word in words)]


class ConversationsScreen(ListScreen[bool]):
    """What is done here is done at once; the list is read again each time it is opened.

    True when another conversation is to be shown.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.CONVERSATIONS)
    HEADING = "Conversations"
    SEARCH = "/ searches what was said"
    KEYS = "enter opens   n new   r renames   d deletes   / searches   esc closes"

    def __init__(self, conversations: Conversations, current: str) -> None:
        super().__init__()
        self._conversations = conversations
        self._current = current
        self._all: list[Summary] | None = None

    def on_mount(self) -> None:
        """Read them."""
        super().on_mount()
        self._read()

    @work
    async def _read(self) -> None:
        self._all = await self._conversations.all()
        if self._current in {one.id for one in self._all}:
            self.picks.chosen = self._current
        self.show()

    def show(self) -> None:
        """Those that are searched for."""
        if self._all is None:
            return
        shown, now, picks = found(self._all, self.words), time.time(), self.picks
        rows = table([self._cells(one, now) for one in shown], picks.room, flex=1, right=(2, 3), drop=(2,))
        picks.show([(one.id, row) for one, row in zip(shown, rows, strict=True)])
        none = "None yet: what you ask is kept here. esc closes this, i writes a question."
        wanted = f"None has “{' '.join(self.words)}”; esc shows all."
        self.say_nothing("" if shown else wanted if self._all else none)

    def _cells(self, one: Summary, now: float) -> list[Cell]:
        count = f"{one.exchanges} question{'' if one.exchanges == 1 else 's'}"
        mine = "now" if one.id == self._current else ""
        return [
            (mine, "$text-accent"),
            (one.title, ""),
            (count, "$muted"),
            (when(one.changed, now), "$muted"),
        ]

    def on_picklist_picked(self, message: Picklist.Picked) -> None:
        """Open it."""
        self._conversations.open(message.key)
        self.dismiss(True)

    def action_new(self) -> None:
        """An empty one."""
        self._conversations.new()
        self.dismiss(True)

    def _chosen(self) -> Summary | None:
        key = self.picks.chosen
        return next((one for one in self._all or () if one.id == key), None)

    @work(exclusive=True)
    async def action_rename(self) -> None:
        """Call the chosen one something."""
        if (one := self._chosen()) is None or self._all is None:
            return
        about = "Empty: by its first question again."
        title = await app_of(self).push_screen_wait(Entry("Rename", one.title, about))
        if title is not None:
            self._conversations.rename(one.id, title)
            self._all = await self._conversations.all()
            self.show()

    @work(exclusive=True)
    async def action_delete(self) -> None:
        """Remove the chosen one, after a yes."""
        if (one := self._chosen()) is None or self._all is None:
            return
        said = "1 question" if one.exchanges == 1 else f"{one.exchanges} questions"
        text = f"Delete “{one.title}”, {said} with their answers, for good?"
        if await app_of(self).push_screen_wait(Question(text, "y delete   n keep")):
            self._conversations.delete(one.id)
            self._all = await self._conversations.all()
            self.show()
