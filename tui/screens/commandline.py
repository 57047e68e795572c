"""The `:` line, at the bottom of any screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input

from tui import keymap
from tui.commandline import MOST, Command, common, complete
from tui.host import app_of
from tui.screens.closing import Dialog
from tui.widgets.cells import line, mark, pointer, table
from tui.widgets.rows import Rows


class CommandLine(Dialog[str | None]):
    """Gives what was typed or chosen, None when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.LINE)

    def __init__(self, commands: Sequence[Command]) -> None:
        super().__init__()
        self._commands = commands
        self._found: list[tuple[str, str]] = []
        self._chosen = 0
        self._pointed = False
        """A completion was gone to: it is meant though nothing is typed."""

    def compose(self) -> ComposeResult:
        """Completions above the line."""
        with Vertical(id="commandline"):
            yield Rows(id="completions")
            prompt = Input(
                placeholder="command · tab completes · esc leaves", compact=True, select_on_focus=False
            )
            prompt.cursor_blink = False
            yield prompt

    def on_mount(self) -> None:
        """Everything can be meant at first."""
        self._look("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look again."""
        event.stop()
        self._look(event.value)

    def _look(self, typed: str) -> None:
        self._found = complete(self._commands, typed)
        self._chosen, self._pointed = 0, False
        self._show()

    def _show(self) -> None:
        first = max(0, self._chosen - MOST + 1)
        shown = self._found[first : first + MOST]
        width = app_of(self).size.width - 2
        cells = [
            [pointer(first + i == self._chosen), (text, "bold"), (about, "$muted")]
            for i, (text, about) in enumerate(shown)
        ]
        rows = table(cells, width, flex=2)
        marked = [mark(row, width) if first + i == self._chosen else row for i, row in enumerate(rows)]
        more = len(self._found) - len(shown)
        if not self._found:
            marked = [line(("  nothing is called that", "$text-warning"), width=width)]
        elif more:
            marked.append(line((f"  {more} more", "$muted"), width=width))
        completions = self.query_one("#completions", Rows)
        completions.keys = [text for text, _ in shown]
        completions.show(marked)

    def on_rows_pointed(self, message: Rows.Pointed) -> None:
        """The completion that was clicked is meant."""
        self.dismiss(message.key)

    def action_choose(self, step: int) -> None:
        """Another completion."""
        if self._found:
            self._chosen, self._pointed = (self._chosen + step) % len(self._found), True
            self._show()

    def action_complete(self) -> None:
        """As far as it is certain, then the chosen one."""
        if not self._found:
            return
        field = self.query_one(Input)
        certain = common([text for text, _ in self._found])
        field.value = certain if len(certain) > len(field.value) else self._found[self._chosen][0]
        field.cursor_position = len(field.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The chosen completion is meant, what was typed where there is none."""
        event.stop()
        meant = self._found and (event.value.strip() or self._pointed)
        self.dismiss(self._found[self._chosen][0] if meant else event.value or None)

    def action_leave(self) -> None:
        """Nothing was meant."""
        self.dismiss(None)
