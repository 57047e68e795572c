"""One plot on the whole screen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from tui import keymap
from tui.desk import Desk
from tui.screens.closing import Closing
from tui.widgets.buckets import WINDOWS
from tui.widgets.chart import Chart
from tui.widgets.keybar import KeyBar
from tui.widgets.plots import CHARTS

EVERY = 0.5


class PlotScreen(Closing[None]):
    """The chart, its window and its neighbours by keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.PLOTS, *keymap.BACK]

    def __init__(self, desk: Desk, chart: str, window: str) -> None:
        super().__init__()
        self._desk = desk
        self._chart = chart
        self._window = window

    def compose(self) -> ComposeResult:
        """The chart has all the room there is."""
        yield Chart()
        yield KeyBar()

    def on_mount(self) -> None:
        """Draw now and from time to time."""
        self.call_after_refresh(self.paint)
        self.set_interval(EVERY, self.paint)

    def paint(self) -> None:
        """Draw what there is."""
        state = self._desk.state
        self.query_one(Chart).draw(CHARTS[self._chart](state), state.now, WINDOWS[self._window])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """It is as large as it gets."""
        return action != "zoom"

    def action_choose(self, step: int) -> None:
        """The next chart."""
        names = list(CHARTS)
        self._chart = names[(names.index(self._chart) + step) % len(names)]
        self.paint()

    def action_end_of(self, last: bool) -> None:
        """The first or the last chart."""
        self._chart = list(CHARTS)[-1 if last else 0]
        self.paint()

    def action_window(self) -> None:
        """The next window of time."""
        names = list(WINDOWS)
        self._window = names[(names.index(self._window) + 1) % len(names)]
        self.paint()
