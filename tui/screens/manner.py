"""How a conversation is held: title, system prompt and sampling, in a form."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, Static, TextArea

from core.conversations.manner import FIELDS, FieldError, Manner, parsed, typed
from tui import keymap
from tui.screens.closing import Dialog
from tui.widgets.keybar import KeyLine

_ABOUT = {field.name: field.about for field in FIELDS} | {
    "title": "what the list calls it; empty: by its first question",
    "system": "told to the model before everything else",
}


class MannerScreen(Dialog[Manner | None]):
    """None when it was left. What cannot be meant is said, and the form stays."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.FORM)

    def __init__(self, manner: Manner) -> None:
        super().__init__()
        self._manner = manner

    def compose(self) -> ComposeResult:
        """Every field, a line about the one that is written in, and the keys."""
        values = typed(self._manner.sampling)
        with VerticalScroll(classes="dialog form", can_focus=False) as dialog:
            dialog.border_title = "This conversation"
            with Horizontal(classes="field"):
                yield Label("title")
                yield Input(self._manner.title, id="title", compact=True, select_on_focus=False)
            with Horizontal(classes="field system"):
                yield Label("system prompt")
                yield TextArea(self._manner.system, id="system", compact=True, highlight_cursor_line=False)
            with Vertical(classes="fields"):
                for field in FIELDS:
                    with Horizontal(classes="field number"):
                        yield Label(field.label)
                        yield Input(values[field.name], id=field.name, compact=True, select_on_focus=False)
            yield Static("", id="told", markup=False)
            yield KeyLine("ctrl+s takes it   tab next   esc leaves it")

    def on_mount(self) -> None:
        """No blinking: nothing is painted when nothing happens."""
        for field in self.query(Input):
            field.cursor_blink = False
        system = self.query_one(TextArea)
        system.cursor_blink = False
        system.show_line_numbers = False
        system.focus()

    def on_descendant_focus(self) -> None:
        """Say what the field is."""
        name = self.focused.id if self.focused else None
        self._say(_ABOUT.get(name or "", ""), "$muted")

    def _say(self, text: str, style: str) -> None:
        self.query_one("#told", Static).update(Content.styled(text, style))

    def on_input_submitted(self) -> None:
        """Enter in a line."""
        self.action_take()

    def action_take(self) -> None:
        """Hold the conversation like this, if it can be meant."""
        texts = {field.name: self.query_one(f"#{field.name}", Input).value for field in FIELDS}
        try:
            sampling = parsed(texts, self._manner.sampling)
        except FieldError as error:
            self.query_one(f"#{error.name}", Input).focus()
            # After the focus has moved, which says something as well.
            self.call_later(self._say, f"✖ {error}", "$text-error")
            return
        title = self.query_one("#title", Input).value
        self.dismiss(Manner(title=title, system=self.query_one(TextArea).text.strip(), sampling=sampling))

    def action_leave(self) -> None:
        """Leave it as it was."""
        self.dismiss(None)
