"""The list of conversations: to open, name, search and delete."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from core.conversations.summary import Summary
from core.intents import Conversations
from tui import keymap
from tui.host import app_of
from tui.screens.entry import Entry
from tui.screens.question import Question
from tui.widgets.cells import Cell, pointer, table
from tui.widgets.picklist import Picklist

KEYS = "enter opens   n new   r renames   d deletes   / searches   esc closes"


def when(changed: float, now: float) -> str:
    """Time of day for what was today, else the date."""
    then, today = time.localtime(changed), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%d %b" if then[0] == today[0] else "%Y-%m-%d", then)


def found(summaries: list[Summary], wanted: str) -> list[Summary]:
    """Those in which every word of `wanted` was said, or is in the title."""
    words = wanted.casefold().split()
    return [one for one in summaries if all(word in one.words for word in words)]


class ConversationsScreen(ModalScreen[bool]):
    """What is done here is done at once; the list is read again each time it is opened.

    True when another conversation is to be shown.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.CONVERSATIONS)

    def __init__(self, conversations: Conversations, current: str) -> None:
        super().__init__()
        self._conversations = conversations
        self._current = current
        self._all: list[Summary] | None = None

    def compose(self) -> ComposeResult:
        """Search, list, keys."""
        with Vertical(classes="dialog list") as dialog:
            dialog.border_title = "Conversations"
            yield Input(placeholder="/ searches what was said", id="search", compact=True)
            yield Picklist(id="conversations")
            yield Static("reading…", id="none", markup=False)
            yield Static(KEYS, classes="dialog-keys", markup=False)

    def on_mount(self) -> None:
        """The list has the keys."""
        self.query_one(Input).cursor_blink = False
        self.query_one(Picklist).focus()
        self._read()

    @work
    async def _read(self) -> None:
        self._all = await self._conversations.all()
        if self._current in {one.id for one in self._all}:
            self.query_one(Picklist).chosen = self._current
        self._show()

    def _show(self) -> None:
        if self._all is None:
            return
        wanted = self.query_one(Input).value
        shown, now = found(self._all, wanted), time.time()
        picks, none = self.query_one(Picklist), self.query_one("#none", Static)
        cells = [self._cells(one, now) for one in shown]
        rows = table(cells, picks.room, flex=1, right=(2, 3), drop=(2,))
        picks.show([(one.id, row) for one, row in zip(shown, rows, strict=True)])
        nothing = "none yet; what you ask is kept here" if not self._all else f"none has “{wanted}”"
        none.update(Content("" if shown else nothing))
        none.display = not shown

    def _cells(self, one: Summary, now: float) -> list[Cell]:
        count = f"{one.exchanges} question{'' if one.exchanges == 1 else 's'}"
        return [pointer(one.id == self._current), (one.title, ""), (count, "$muted"),
                (when(one.changed, now), "$muted")]  # fmt: skip

    def on_picklist_resized(self) -> None:
        """Rows are made for a width."""
        self._show()

    def on_input_changed(self) -> None:
        """Search while it is typed."""
        self._show()

    def on_input_submitted(self) -> None:
        """The keys go back to the list."""
        self.query_one(Picklist).focus()

    def on_picklist_picked(self, message: Picklist.Picked) -> None:
        """Open it."""
        self._conversations.open(message.key)
        self.dismiss(True)

    def action_search(self) -> None:
        """Type what to look for."""
        self.query_one(Input).focus()

    def action_leave(self) -> None:
        """The search first, then the list."""
        search = self.query_one(Input)
        if search.value:
            search.value = ""
        elif not search.has_focus:
            self.dismiss(False)
        self.query_one(Picklist).focus()

    def action_new(self) -> None:
        """An empty one."""
        self._conversations.new()
        self.dismiss(True)

    def _chosen(self) -> Summary | None:
        key = self.query_one(Picklist).chosen
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
            self._show()

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
            self._show()
