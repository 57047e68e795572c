"""The themes, each seen at once."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content

from tui import keymap
from tui.host import app_of
from tui.screens.closing import Dialog
from tui.widgets.cells import line, mark, pointer
from tui.widgets.keybar import KeyLine
from tui.widgets.rows import Rows

_WIDTH = 34


class ThemeScreen(Dialog[str | None]):
    """Gives the theme to keep, None where the one before is back."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.THEMES)

    def __init__(self, names: list[str], current: str) -> None:
        super().__init__()
        self._names = names
        self._before = current
        self._chosen = names.index(current) if current in names else 0

    def compose(self) -> ComposeResult:
        """In a corner: the screen behind it is what there is to see."""
        with Vertical(id="themes", classes="dialog") as dialog:
            dialog.border_title = "Theme"
            yield Rows()
            yield KeyLine("enter keeps   esc back")

    def on_mount(self) -> None:
        """Show the list."""
        self._show()

    def _show(self) -> None:
        rows: list[Content] = []
        for i, name in enumerate(self._names):
            at = i == self._chosen
            was = "  now" if name == self._before else ""
            row = line(pointer(at), (f" {name}", "bold" if at else ""), (was, "$muted"), width=_WIDTH)
            rows.append(mark(row, _WIDTH) if at else row)
        self.query_one(Rows).keys = self._names
        self.query_one(Rows).show(rows)

    def on_rows_pointed(self, message: Rows.Pointed) -> None:
        """Show the theme that was clicked; keep it where it is shown already."""
        at = self._names.index(message.key)
        if at == self._chosen:
            self.action_keep()
        else:
            self.action_choose(at - self._chosen)

    def action_choose(self, step: int) -> None:
        """Show another one."""
        self._chosen = (self._chosen + step) % len(self._names)
        app_of(self).theme = self._names[self._chosen]
        self._show()

    def action_keep(self) -> None:
        """This one."""
        self.dismiss(self._names[self._chosen])

    def action_leave(self) -> None:
        """As it was."""
        app_of(self).theme = self._before
        self.dismiss(None)
