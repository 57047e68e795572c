"""All keys, by where they work."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keymap import SECTIONS

_NAMES = {
    "question_mark": "?",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "down": "↓",
    "up": "↑",
}
_WIDTH = 11


def key_names(keys: str) -> str:
    """Keys of a binding as printed on them: `? f1`."""
    return " ".join(_NAMES.get(key, key) for key in keys.split(","))


def help_text() -> Content:
    """A section for each place, a line for each binding."""
    parts: list[Content] = []
    for title, bindings in SECTIONS:
        rows = [Content.styled(title, "bold $text-accent")]
        rows += [
            Content.assemble((f"  {key_names(b.key):<{_WIDTH}} ", "bold"), b.tooltip or b.description)
            for b in bindings
        ]
        parts.append(Content("\n").join(rows))
    palette = Content.assemble((f"  {'ctrl+p':<{_WIDTH}} ", "bold"), "Palette: every command, themes, faults")
    return Content("\n\n").join([parts[0] + Content("\n") + palette, *parts[1:]])


class HelpScreen(ModalScreen[None]):
    """The list of keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "dismiss", "Close", id="help.close")
    ]

    def compose(self) -> ComposeResult:
        """The list, which scrolls where it must."""
        with VerticalScroll(classes="dialog tall") as dialog:
            dialog.border_title = "Keys"
            dialog.border_subtitle = "esc closes"
            yield Static(help_text(), markup=False)
