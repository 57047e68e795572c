"""A line to type."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from tui import keymap
from tui.screens.closing import Dialog
from tui.widgets.keybar import KeyLine


class Entry(Dialog[str | None]):
    """Asks for a line. None when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.ENTRY)

    def __init__(
        self, title: str, value: str = "", about: str = "", placeholder: str = "", longest: int = 0
    ) -> None:
        super().__init__()
        self._title, self._value, self._about, self._placeholder = title, value, about, placeholder
        self._longest = longest

    def compose(self) -> ComposeResult:
        """The line and its keys."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._title
            yield Input(
                self._value,
                placeholder=self._placeholder,
                max_length=self._longest,
                select_on_focus=False,
                compact=True,
            )
            if self._about:
                yield Static(Content(self._about), classes="dialog-about", markup=False)
            yield KeyLine("enter takes it   esc leaves it")

    def on_mount(self) -> None:
        """No blinking: nothing is painted when nothing happens."""
        self.query_one(Input).cursor_blink = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        """Type nothing."""
        self.dismiss(None)
