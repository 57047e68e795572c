"""The line where a filter is written, at the bottom of what it filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from tui import keymap


def matches(needle: str, text: str) -> bool:
    """Whether every word of `needle` is somewhere in `text`; `!word` must not be. Case does not count."""
    text = text.casefold()
    words = needle.casefold().split()
    return all((word[1:] not in text) if word[:1] == "!" and word[1:] else word in text for word in words)


class FilterBar(Input):
    """Hidden while there is no filter. `opened` shows it; each change is told to whoever is around it."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.FILTER_BAR)
    DEFAULT_CSS = """
    FilterBar { display: none; dock: bottom; height: 1; padding: 0; border: none; background: $panel; }
    FilterBar:focus { border: none; }
    FilterBar.-on { display: block; }
    """

    @dataclass
    class Narrowed(Message):
        """The filter is another one."""

        needle: str

    @dataclass
    class Left(Message):
        """The bar does not want the focus any more."""

    def __init__(self) -> None:
        super().__init__(placeholder="filter: words, !word · enter keeps, esc clears", compact=True)
        self.cursor_blink = False

    def open(self) -> None:
        """Show the bar and write in it."""
        self.add_class("-on")
        self.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow while typing."""
        event.stop()
        self.post_message(self.Narrowed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps the filter."""
        event.stop()
        self.action_leave()

    def action_leave(self) -> None:
        """Back to the rows; the bar stays where it says something."""
        self.set_class(bool(self.value.strip()), "-on")
        self.post_message(self.Left())

    def action_clear(self) -> None:
        """Show everything again."""
        self.value = ""
        self.action_leave()


class Filtered(Widget):
    """A pane with a FilterBar in it. A subclass says in `narrow` what a filter does.

    To be named last among the bases: Textual takes the CSS of the first.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.FILTER)

    def narrow(self, needle: str) -> None:
        """Show only what matches."""
        raise NotImplementedError

    def action_filter(self) -> None:
        """Write a filter."""
        self.query_one(FilterBar).open()

    def action_unfilter(self) -> None:
        """Show everything again, from the rows."""
        self.query_one(FilterBar).action_clear()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is a filter to take away."""
        return bool(self.query("FilterBar.-on")) if action == "unfilter" else True

    def on_filter_bar_narrowed(self, message: FilterBar.Narrowed) -> None:
        """The filter is another one."""
        message.stop()
        self.narrow(message.needle)

    def on_filter_bar_left(self, message: FilterBar.Left) -> None:
        """Back to what was filtered."""
        message.stop()
        self.refresh_bindings()
        inside = (widget for widget in self.query("*").results() if not isinstance(widget, FilterBar))
        target = next((widget for widget in (self, *inside) if widget.focusable), None)
        if target is not None:
            target.focus()
