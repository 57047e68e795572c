"""Recordings to choose from: one, whose plans are compared, or several, which are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from core.folders import typed
from core.session.found import Found, found
from core.text import clean_line, size
from tui import keymap
from tui.host import app_of
from tui.screens.closing import Dialog
from tui.screens.conversations import when
from tui.screens.entry import Entry
from tui.widgets.cells import Cell, pointer, table
from tui.widgets.keybar import KeyLine
from tui.widgets.picklist import Picklist

KEYS = "space marks   enter compares   a names a file   esc closes"
NONE = "No recording yet: measuring a suite makes one, and so does R.\na names a file elsewhere."
ONE = "Mark two or more, the one to compare with first; enter on a single one compares its plans."


class RecordingsScreen(Dialog[list[Path] | None]):
    """The marked files in the order of marking, else the chosen one; None when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.RECORDINGS)

    def __init__(self) -> None:
        super().__init__()
        self._named: list[Path] = []
        self._marked: list[str] = []
        self._all: list[Found] = []

    def compose(self) -> ComposeResult:
        """List and keys."""
        with Vertical(classes="dialog list") as dialog:
            dialog.border_title = "Compare recordings"
            yield Picklist(id="recordings")
            yield Static(NONE, id="none", markup=False)
            yield Static(Content(ONE), classes="dialog-about", markup=False)
            yield KeyLine(KEYS)

    def on_mount(self) -> None:
        """The list has the keys."""
        self._all = found()
        self.query_one(Picklist).focus()
        self._show()

    def _show(self) -> None:
        picks, none = self.query_one(Picklist), self.query_one("#none", Static)
        now = time.time()
        rows = table([self._cells(one, now) for one in self._all], picks.room, flex=1, right=(2, 3))
        picks.show([(str(one.path), row) for one, row in zip(self._all, rows, strict=True)])
        none.display = not self._all
        picks.display = bool(self._all)

    def _cells(self, one: Found, now: float) -> list[Cell]:
        key = str(one.path)
        place = self._marked.index(key) if key in self._marked else None
        mark = "   " if place is None else "1st" if place == 0 else f"{place + 1}  "
        return [(mark, pointer(True)[1]), (clean_line(one.path.name), ""), (size(one.size), "$muted"),
                (when(one.changed, now), "$muted")]  # fmt: skip

    def on_picklist_resized(self) -> None:
        """Rows are made for a width."""
        self._show()

    def action_mark(self) -> None:
        """Take it in, or leave it out again."""
        key = self.query_one(Picklist).chosen
        if key is None:
            return
        if key in self._marked:
            self._marked.remove(key)
        else:
            self._marked.append(key)
        self._show()

    @work(exclusive=True)
    async def action_add(self) -> None:
        """A recording that lies elsewhere."""
        path = await app_of(self).push_screen_wait(Entry("A recording", about="The path of an .exo file."))
        if not path:
            return
        named = typed(path)
        try:
            self._all = found(*self._named, named)
        except OSError as error:
            text = f"{clean_line(path)} cannot be read: {error.strerror}"
            self.notify(text, severity="warning", markup=False)
            return
        self._named.append(named)
        self._marked.append(str(named))
        self._show()

    def on_picklist_picked(self, message: Picklist.Picked) -> None:
        """Enter."""
        message.stop()
        self.dismiss([Path(key) for key in self._marked or [message.key]])

    def action_leave(self) -> None:
        """Compare nothing."""
        self.dismiss(None)
