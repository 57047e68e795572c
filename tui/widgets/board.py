"""The shard board as a widget: rows that can be taken hold of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from textual import events
from textual.message import Message

from tui.widgets.boardgrid import Grid
from tui.widgets.boardrows import Row, View, board_rows, grid
from tui.widgets.rows import Rows

Part = Literal["block", "card", "cut"]
NEAR = 1
"""Columns beside a boundary at which it is taken hold of."""


class BoardTable(Rows, can_focus=True):
    """Draws a view, and says in messages what the mouse does with it."""

    @dataclass
    class Grabbed(Message):
        """A button went down on a part of a device's rows."""

        what: Part
        device: str
        layer: int

    @dataclass
    class Carried(Message):
        """The mouse has moved with it: over a device, `OUT`, or nothing; and the layer or cut there."""

        over: str | None
        cut: int
        x: int
        y: int
        """Column and line of the terminal."""

        def can_replace(self, message: Message) -> bool:
            """Only where the mouse is now matters."""
            return isinstance(message, BoardTable.Carried)

    @dataclass
    class Released(Message):
        """The button was let go; `moved` tells a drag from a click."""

        moved: bool

    def __init__(self) -> None:
        super().__init__(id="board")
        self._view: View | None = None
        self._lines: Sequence[Row] = ()
        self._down: tuple[int, int] | None = None
        self._moved = False

    def draw(self, view: View, height: int) -> None:
        """Show a view, in `height` lines where it can be."""
        self._view = view
        if self.size.width:
            self._lines = board_rows(view, self.size.width, height)
            self.show([row.content for row in self._lines])

    def line_of(self, device: str) -> int:
        """The first line of a device."""
        return next((y for y, row in enumerate(self._lines) if row.device == device), 0)

    @property
    def grid(self) -> Grid | None:
        """The columns as they are drawn."""
        return grid(self._view, self.size.width) if self._view is not None else None

    def _device_at(self, y: int) -> str | None:
        return self._lines[y].device if 0 <= y < len(self._lines) else None

    def _part(self, x: int, y: int) -> BoardTable.Grabbed | None:
        """What a press at a place takes hold of."""
        device, cols = self._device_at(y), self.grid
        if not device or cols is None or self._view is None:
            return None
        board = self._view.board
        places = [i for i, stage in enumerate(board.stages) if device in stage.devices]
        if not places or x < cols.left - 1:
            return self.Grabbed("card", device, 0)
        at = places[0]
        stage = board.stages[at]
        if not board.together:
            column = x - cols.left
            # On the side where no layer of the stage is, a column more counts.
            if at < len(board.stages) - 1 and 0 <= column - cols.cut_column(stage.end, above=True) <= NEAR:
                return self.Grabbed("cut", device, stage.end)
            if at > 0 and 0 <= cols.cut_column(stage.start, above=False) - column <= NEAR:
                return self.Grabbed("cut", board.stages[at - 1].device, stage.start)
        layer = cols.layer_at(x)
        if self._lines[y].cells and stage.start <= layer < stage.end and x < cols.left + cols.at[-1]:
            return self.Grabbed("block", device, layer)
        return self.Grabbed("card", device, 0)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Take hold of something."""
        if event.button != 1:
            return
        grabbed = self._part(event.x, event.y)
        if grabbed is not None:
            event.stop()
            self.focus()
            self.capture_mouse()
            self._down, self._moved = (event.x, event.y), False
            self.post_message(grabbed)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Carry it."""
        if self._down is None or ((event.x, event.y) == self._down and not self._moved):
            return
        self._moved = True
        cols = self.grid
        inside = 0 <= event.x < self.size.width
        over = self._device_at(event.y) if inside else None
        cut = cols.cut_at(event.x) if cols else 0
        self.post_message(self.Carried(over, cut, int(event.screen_x), int(event.screen_y)))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Let go of it. A button let go outside the terminal is heard at the next move inside."""
        if self._down is not None:
            self.let_go()
            self.post_message(self.Released(self._moved))

    def let_go(self) -> None:
        """Hold nothing."""
        self._down = None
        self.release_mouse()
