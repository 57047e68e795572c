"""Where prompts are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Key, Paste
from textual.message import Message
from textual.widgets import TextArea

from core.text import clean
from tui import keymap

LONGEST = 2**20
"""Characters of one prompt."""


ASK = "Ask the model…  enter sends, ctrl+j is a new line"


class Composer(TextArea):
    """A text to write, some lines high. It stays while it cannot be sent, with the reason in the border.

    Enter sends; ctrl+j begins a new line, and so does shift+enter where the terminal tells it apart.
    Up on the first line and down on the last go through the prompts of before.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.COMPOSER)

    @dataclass
    class Submitted(Message):
        """A prompt was written; `replaces` names the request it is an edited version of."""

        composer: Composer
        text: str
        replaces: str

    def __init__(self) -> None:
        super().__init__(id="composer", placeholder=ASK, highlight_cursor_line=False)
        self.cursor_blink = False
        self.show_line_numbers = False
        self._past: Sequence[str] = ()
        self._at = 0
        """How far back in the past it is; 0 is what is being written."""
        self._draft = ""
        self._replaces = ""
        self._aside = ""
        """What was being written when an edit began."""

    def draw(self, reason: str | None, replay: bool, past: Sequence[str]) -> None:
        """Say why nothing can be asked now; a replay takes no prompts at all. `past`: the newest last."""
        self._past = past
        if self.disabled != replay:
            self.disabled = replay
            self.placeholder = "replay" if replay else ASK
        # A border label is markup when given as a string with brackets.
        said = "" if replay else (reason or "").replace("[", "(").replace("]", ")")
        if self.border_subtitle != said:
            self.border_subtitle = said

    def rewrite(self, prompt: str, replaces: str) -> None:
        """Write a prompt of before anew."""
        if not self._replaces:
            self._aside = self.text
        self._replaces = replaces
        self.border_title = "editing: enter asks again from here, esc leaves it"
        self._put(prompt)
        self.focus()

    def end_edit(self) -> None:
        """What was written before the edit is there again, if anything was."""
        self._replaces = ""
        self.border_title = None
        self._at = 0
        self._put(self._aside)
        self._aside = ""

    def sent(self, text: str) -> None:
        """`text` is on its way; what was typed since it was submitted stays."""
        self._at, self._draft = 0, ""
        if self._replaces:
            self.end_edit()
        else:
            self._put(self.text.removeprefix(text))

    def _put(self, text: str) -> None:
        self.text = text
        self.move_cursor(self.document.end)

    # Textual calls the handlers of TextArea after these.

    async def _on_key(self, event: Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_submit()

    async def _on_paste(self, event: Paste) -> None:
        event.text = clean(event.text.replace("\r\n", "\n").replace("\r", "\n"), LONGEST)

    def action_submit(self) -> None:
        """Have it sent."""
        self.post_message(self.Submitted(self, self.text, self._replaces))

    def action_newline(self) -> None:
        """Begin a new line."""
        self.insert("\n")

    def action_cursor_up(self, select: bool = False) -> None:
        """On the first line: the prompt before."""
        if not select and self._row == 0 and self._at < len(self._past):
            self._recall(self._at + 1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """On the last line: the prompt after, and what was being written in the end."""
        if not select and self._at and self._row == self.wrapped_document.height - 1:
            self._recall(self._at - 1)
        else:
            super().action_cursor_down(select)

    @property
    def _row(self) -> int:
        """Where the cursor is, in rows on the screen."""
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def _recall(self, at: int) -> None:
        if not self._at:
            self._draft = self.text
        self._at = min(at, len(self._past))  # of another conversation there may be fewer
        self._put(self._past[-self._at] if self._at else self._draft)

    def action_leave(self) -> None:
        """Back to the messages; an edit is given up."""
        if self._replaces:
            self.end_edit()
        self.screen.set_focus(self.screen.query_one("#chatlog"))
