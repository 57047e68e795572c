"""A widget of independent rows, of which only those that changed are painted again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

from core.state import ClusterState


class Rows(Widget):
    """Rows of text, one terminal line each. Rows are cut at the widget's width, never wrapped."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Rows { width: 1fr; height: auto; }"

    keys: Sequence[str | None] = ()
    """What each row is about; of one that is about something a click tells."""

    @dataclass
    class Pointed(Message):
        """A row was clicked that is about something."""

        key: str

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._rows: list[Content] = []
        self._strips: dict[int, Strip] = {}

    @property
    def text(self) -> str:
        """What is shown, without styles."""
        return "\n".join(row.plain for row in self._rows)

    @property
    def lines(self) -> int:
        """How many there are."""
        return len(self._rows)

    def show(self, rows: Sequence[Content]) -> None:
        """Show these rows instead; paints nothing when they are the same."""
        old, self._rows = self._rows, list(rows)
        changed = [
            y
            for y, row in enumerate(self._rows)
            if y >= len(old) or (row is not old[y] and not row.is_same(old[y]))
        ]
        if len(old) != len(self._rows):
            self._strips.clear()
            # Where a layout is due already Textual 8.2 does not count this one, and keeps the height it had.
            self._layout_updates += 1
            self.refresh(layout=True)
        elif changed:
            for y in changed:
                self._strips.pop(y, None)
            self.refresh(*[Region(0, y, self.outer_size.width, 1) for y in changed])

    def on_click(self, event: Click) -> None:
        """Tell which row it was."""
        if event.y < len(self.keys) and (key := self.keys[event.y]) is not None:
            event.stop()
            self.post_message(self.Pointed(key))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as rows."""
        return len(self._rows)

    def notify_style_update(self) -> None:
        """Strips hold colours: a new theme makes them stale."""
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        """The strip of one row, built when first painted."""
        width = self.size.width
        if y >= len(self._rows) or not width:
            return Strip.blank(width, self.rich_style)
        strip = self._strips.get(y)
        if strip is None or strip.cell_length != width:
            made = Visual.to_strips(
                self, self._rows[y], width, 1, self.visual_style, apply_selection=False, pad=True
            )
            strip = made[0].adjust_cell_length(width, self.rich_style)
            self._strips[y] = strip
        return strip


class StateRows(Rows):
    """Rows made from the cluster's state. A subclass says how in `rows`."""

    _state: ClusterState | None = None

    def rows(self, state: ClusterState, width: int) -> Sequence[Content]:
        """The rows to show in `width` cells."""
        raise NotImplementedError

    def draw(self, state: ClusterState) -> None:
        """Show `state`; once the widget has a width, also after each resize."""
        self._state = state
        if self.size.width:
            self.show(self.rows(state, self.size.width))

    def redraw(self) -> None:
        """Show the state again, where something else that rows depend on has changed."""
        if self._state is not None:
            self.draw(self._state)

    def on_resize(self, _event: Resize) -> None:
        """Rows are made for a width."""
        self.redraw()
