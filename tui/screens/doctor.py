"""What is wrong with the cluster, and what to type: the findings of the state as it is."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.events import Resize

from core.doctor import Finding, examine
from tui import keymap
from tui.desk import Desk
from tui.host import app_of
from tui.screens.closing import Dialog
from tui.widgets.cells import Cell, line, mark, pointer
from tui.widgets.keybar import KeyLine
from tui.widgets.rows import Rows
from tui.widgets.scroller import Scroller

EVERY = 1.0
MARKS: dict[str, Cell] = {
    "error": ("✖ ", "$text-error"),
    "warning": ("▲ ", "$text-warning"),
    "info": ("• ", "$text-primary"),
    "unknown": ("? ", "$muted"),
}


def finding_rows(one: Finding, chosen: bool, width: int) -> list[Content]:
    """What it is, and where it is the chosen one or in trouble why, what to do and what to type."""
    head: list[Cell] = [pointer(chosen), (" ", ""), MARKS[one.level], (f"{one.where}: ", "bold")]
    told = [one.what, one.why, one.todo]
    if sum(cell_len(text) for text, _ in head) + cell_len(one.what) <= width:
        head.append((told.pop(0), ""))
    rows = [line(*head, width=width)]
    if one.level in ("error", "warning") or chosen or one.what in told:
        for text in filter(None, told):
            rows += [
                line(("     " + part, "$muted"), width=width)
                for part in textwrap.wrap(text, max(1, width - 6))
            ]
        for command in one.commands:
            rows.append(
                line((f"     {command.device}$ ", "$text-accent"), (command.text, "bold"), width=width)
            )
    return [mark(rows[0], width), *rows[1:]] if chosen else rows


class DoctorScreen(Dialog[None]):
    """Looks again each second: a finding goes when it is mended."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.DOCTOR)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._found: Sequence[Finding] = ()
        self._chosen = 0

    def compose(self) -> ComposeResult:
        """The list, which scrolls where it must."""
        with Scroller(classes="dialog wide", can_focus=False) as dialog:
            dialog.border_title = "Doctor"
            yield Rows()
            yield KeyLine("j next   k before   c copies the commands   esc closes")

    def on_mount(self) -> None:
        """Look now and then."""
        self.set_interval(EVERY, self.look)
        self.call_after_refresh(self.look)

    def on_resize(self, _event: Resize) -> None:
        """Rows are made for a width."""
        self.call_after_refresh(self.look)

    def look(self) -> None:
        """Show the findings of now; the choice stays with its finding."""
        before = self._found[self._chosen] if self._chosen < len(self._found) else None
        self._found = examine(self._desk.state)
        if before in self._found:
            self._chosen = self._found.index(before)
        self._show()

    def _show(self, *, follow: bool = False) -> None:
        rows = self.query_one(Rows)
        width = rows.size.width
        if not width:
            return
        self._chosen = max(0, min(self._chosen, len(self._found) - 1))
        made: list[Content] = []
        whose: list[str] = []
        top = 0
        for i, one in enumerate(self._found):
            top = len(made) if i == self._chosen else top
            made += finding_rows(one, i == self._chosen, width)
            whose += [str(i)] * (len(made) - len(whose))
        if not made:
            devices = len(self._desk.state.devices)
            said = "Nothing to mend." if devices else "No device yet: on the cluster pane enter adds a peer."
            made = [line((said, "$text-success" if devices else "$muted"), width=width)]
        rows.keys = whose
        rows.show(made)
        if follow:  # not at each look: a wheel may have gone elsewhere
            self.query_one(Scroller).scroll_to(y=max(0, top - 3), animate=False)

    def on_rows_pointed(self, message: Rows.Pointed) -> None:
        """Choose the finding that was clicked."""
        self.action_choose(int(message.key) - self._chosen)

    def action_choose(self, step: int) -> None:
        """Another finding."""
        self._chosen += step
        self._show(follow=True)

    def action_copy(self) -> None:
        """Put the commands of the chosen finding on the clipboard of whoever looks at this terminal."""
        commands = [command.text for command in self._found[self._chosen].commands] if self._found else []
        app = app_of(self)
        if not commands:
            app.notify("This finding has no command", severity="warning")
            return
        app.copy_to_clipboard("\n".join(commands))
        app.notify("Copied, if your terminal allows it (OSC 52)")
