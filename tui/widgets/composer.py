"""Where prompts are written."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.widgets import Input

from tui import keymap


class Composer(Input):
    """A line to write in. What is typed stays while it cannot be sent, with the reason in the border."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.COMPOSER)

    def __init__(self) -> None:
        super().__init__(id="composer", placeholder="Ask the model…", select_on_focus=False)
        self.cursor_blink = False

    def draw(self, reason: str | None, replay: bool) -> None:
        """Say why nothing can be asked now; a replay takes no prompts at all."""
        self.disabled = replay
        self.placeholder = "replay" if replay else "Ask the model…"
        # A border label is markup when given as a string with brackets.
        said = "" if replay else (reason or "").replace("[", "(").replace("]", ")")
        if self.border_subtitle != said:
            self.border_subtitle = said

    def action_leave(self) -> None:
        """Back to the messages."""
        self.screen.set_focus(self.screen.query_one("#chatlog"))
