"""A list to pick from by keys or mouse, in rows of one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message

from tui import keymap
from tui.widgets.cells import mark, pointer
from tui.widgets.rows import Rows

_SIGN = 2


class Picklist(VerticalScroll):
    """Rows with keys, one of them chosen. Whoever shows them makes them as wide as `room`."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.LIST)

    @dataclass
    class Moved(Message):
        """Another one is chosen."""

        key: str | None

    @dataclass
    class Picked(Message):
        """Enter, or a second click, on the chosen one."""

        key: str

    @dataclass
    class Resized(Message):
        """The rows are to be made anew."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._keys: list[str] = []
        self._rows: list[Content] = []
        self.chosen: str | None = None

    def compose(self) -> ComposeResult:
        """The rows."""
        yield Rows()

    @property
    def room(self) -> int:
        """Cells a row may take, beside the sign of the chosen one."""
        return self.scrollable_content_region.width - _SIGN

    def on_resize(self) -> None:
        """Tell who makes the rows."""
        self.post_message(self.Resized())

    def show(self, rows: Sequence[tuple[str, Content]]) -> None:
        """Show these; the choice stays with its key, else it is the first."""
        self._keys = [key for key, _ in rows]
        self._rows = [row for _, row in rows]
        self.query_one(Rows).keys = self._keys
        if self.chosen not in self._keys:
            self.choose(self._keys[0] if self._keys else None)
        self._paint()

    def choose(self, key: str | None) -> None:
        """Choose one, and have it in sight."""
        if key == self.chosen:
            return
        self.chosen = key
        self._paint()
        if key is not None:
            y, view = self._keys.index(key), self.scrollable_content_region.height
            if not self.scroll_offset.y <= y < self.scroll_offset.y + view:
                self.scroll_to(y=y if y < self.scroll_offset.y else y - view + 1, animate=False)
        self.post_message(self.Moved(key))

    def _paint(self) -> None:
        self.query_one(Rows).show(
            [
                mark(_signed(row, True), self.room + _SIGN) if key == self.chosen else _signed(row, False)
                for key, row in zip(self._keys, self._rows, strict=True)
            ]
        )

    def action_choose(self, step: int) -> None:
        """Move the choice; it stops at either end."""
        if self.chosen is not None:
            at = self._keys.index(self.chosen) + step
            self.choose(self._keys[min(len(self._keys) - 1, max(0, at))])

    def action_end_of(self, step: int) -> None:
        """The first or the last."""
        if self._keys:
            self.choose(self._keys[0 if step < 0 else -1])

    def action_pick(self) -> None:
        """Take the chosen one."""
        if self.chosen is not None:
            self.post_message(self.Picked(self.chosen))

    def on_rows_pointed(self, message: Rows.Pointed) -> None:
        """A click chooses; one on what is chosen already picks it."""
        message.stop()
        self.focus()
        if message.key == self.chosen:
            self.action_pick()
        else:
            self.choose(message.key)


def _signed(row: Content, chosen: bool) -> Content:
    return Content.assemble(pointer(chosen), " ", row)
