"""Jump mode: a letter on everything that can have the focus."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.events import Click, Key
from textual.widget import Widget
from textual.widgets import Static

from tui.screens.closing import Dialog

LETTERS = "asdfghjklqwertyuiopzxcvbnm"


class JumpScreen(Dialog[Widget | None]):
    """Gives the widget whose letter was pressed, None for any other key."""

    def __init__(self, targets: Sequence[Widget]) -> None:
        super().__init__()
        self._targets = dict(zip(LETTERS, targets, strict=False))

    def compose(self) -> ComposeResult:
        """The letters, each at the corner of its widget."""
        for letter, widget in self._targets.items():
            label = Static(f" {letter} ", classes="jump", markup=False)
            label.styles.offset = widget.region.offset
            yield label

    def on_key(self, event: Key) -> None:
        """Go there."""
        event.stop()
        self.dismiss(self._targets.get(event.key))

    def on_click(self, event: Click) -> None:
        """A click leaves too."""
        event.stop()
        self.dismiss(None)
