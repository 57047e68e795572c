"""A question with two answers."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from tui import keymap
from tui.screens.closing import Dialog
from tui.widgets.keybar import KeyLine


class Question(Dialog[bool]):
    """Asks; y is True, n and escape are False."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.QUESTION)

    def __init__(self, text: str, hint: str) -> None:
        super().__init__()
        self._text = text
        self._hint = hint

    def compose(self) -> ComposeResult:
        """The question and its keys."""
        with Vertical(classes="dialog"):
            yield Static(Content(self._text), classes="dialog-text", markup=False)
            yield KeyLine(self._hint)

    def action_answer(self, answer: bool) -> None:
        """Give the answer."""
        self.dismiss(answer)
