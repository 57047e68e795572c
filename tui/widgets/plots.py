"""What the charts show of the state, and the pane that holds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.events import Click, Resize
from textual.message import Message

from core.series import Series
from core.state import ClusterState, Device, Link
from tui import keymap
from tui.widgets.buckets import WINDOWS
from tui.widgets.chart import Chart, ChartData, Line
from tui.widgets.devices import in_order
from tui.widgets.figures import gib, latency
from tui.widgets.links import device_name

MOST = 8
"""Lines of a chart: as many as there are colours. Of more, those with the largest values are shown."""
SAMPLE_GAP = 5.0
BURST_GAP = 75.0
"""Seconds of silence that are a gap: five samples; two bursts at the pace they have during an answer."""
_TWO_COLUMNS = 92
"""Width of the pane from which charts stand side by side."""
_LEAST_HEIGHT = 6
"""Rows a chart needs to be of use."""


T = TypeVar("T")


def foremost(things: Sequence[T], value: Callable[[T], float | None]) -> tuple[list[T], int]:
    """What is worth a line, in the order it came, and how many are left out."""
    if len(things) <= MOST:
        return list(things), 0
    kept = {id(thing) for thing in nlargest(MOST, things, key=lambda thing: value(thing) or 0.0)}
    return [thing for thing in things if id(thing) in kept], len(things) - MOST


def _memory_line(device: Device) -> Line:
    limit = device.sample.memory_limit if device.sample else 0
    last = device.memory.last
    told = f"{gib(last)}/{gib(limit)}" if last is not None else "—"
    return Line(device.name, device.memory, told, 100 / limit if limit else 0.0)


def device_memory(device: Device) -> ChartData:
    """Memory in use on one device."""
    empty = "it has sent no sample"
    return ChartData("Memory GiB", (_memory_line(device),), lambda v: f"{v:g}%", empty, SAMPLE_GAP, 100.0)


def memory(state: ClusterState) -> ChartData:
    """Memory in use on each device: GiB of the limit in the legend, the share of it in the picture."""
    lines = [_memory_line(device) for device in in_order(state)]
    shown, more = foremost(lines, lambda li: (li.series.last or 0.0) * li.scale)
    empty = "no device has sent a sample"
    return ChartData("Memory GiB", tuple(shown), lambda v: f"{v:g}%", empty, SAMPLE_GAP, 100.0, more)


def _round_trips(state: ClusterState, title: str, of: Callable[[Link], Series]) -> ChartData:
    links, more = foremost(tuple(state.links.values()), lambda link: of(link).last)
    lines: list[Line] = []
    for link in links:
        series = of(link)
        last = latency(series.last) if series.last is not None else "✖" if link.failure else "—"
        name = f"{device_name(state, link.source)}→{device_name(state, link.target)}"
        lines.append(Line(name, series, last))
    empty = "links are measured once two devices are ready"
    return ChartData(title, tuple(lines), latency, empty, BURST_GAP, None, more)


def median(state: ClusterState) -> ChartData:
    """Median round trip of each link."""
    return _round_trips(state, "Link p50", lambda link: link.p50)


def tail(state: ClusterState) -> ChartData:
    """The slowest round trip in a hundred of each link."""
    return _round_trips(state, "Link p99", lambda link: link.p99)


def _speed(title: str, name: str, series: Series) -> ChartData:
    last = f"{series.last:.1f}" if series.last is not None else "—"
    lines = (Line(name, series, last),)
    return ChartData(title, lines, lambda v: f"{v:g}", "ask the model something", SAMPLE_GAP)


def decode(state: ClusterState) -> ChartData:
    """Tokens written a second."""
    return _speed("Tokens/s", "decode", state.decode)


def prefill(state: ClusterState) -> ChartData:
    """Prompt tokens read a second."""
    return _speed("Prompt tokens/s", "prefill", state.prefill)


def shares(state: ClusterState) -> ChartData:
    """How much of each rank's time was computing; the rest it waited for its neighbours."""
    lines = [
        Line(
            f"rank {rank.rank} {device_name(state, rank.device)}",
            rank.compute,
            f"{rank.compute.last:.0%}/{1 - rank.compute.last:.0%}" if rank.compute.last is not None else "—",
            100.0,
        )
        for rank in (state.run.ranks if state.run else ())
    ]
    shown, more = foremost(lines, lambda li: li.series.last)
    empty = "known after the first answer of a run"
    return ChartData("Compute/wait", tuple(shown), lambda v: f"{v:g}%", empty, high=100.0, more=more)


CHARTS = {
    "memory": memory,
    "round-trips": median,
    "speed": decode,
    "tail": tail,
    "prefill": prefill,
    "shares": shares,
}
"""What is plotted, the most wanted first."""


class PlotsPane(VerticalScroll, can_focus=True):
    """All charts, one of them chosen; what has no room is a scroll away."""

    BORDER_TITLE = "3 Plots"
    BINDINGS: ClassVar[list[BindingType]] = [*keymap.PLOTS]

    chosen = 0
    window = "10 min"
    _state: ClusterState | None = None
    _turn = 0

    @dataclass
    class Zoomed(Message):
        """A chart is wanted on the whole screen."""

        chart: str
        window: str

    def compose(self) -> ComposeResult:
        """The charts, side by side where there is room."""
        for name in CHARTS:
            yield Chart(id=name)

    def on_resize(self, _event: Resize) -> None:
        """Two columns from some width on, and as many rows as are of use."""
        columns = 2 if self.size.width >= _TWO_COLUMNS else 1
        rows = min(len(CHARTS) // columns, max(1, self.size.height // _LEAST_HEIGHT))
        self.styles.grid_size_columns = columns
        self.styles.grid_rows = str(self.size.height // rows)

    def draw(self, state: ClusterState) -> None:
        """Show `state` on all charts that can be seen."""
        self._state = state
        for name in CHARTS:
            self._draw(name, state)

    def draw_next(self, state: ClusterState) -> None:
        """Show `state` on one chart, and on the next one the next time: none holds a key up for long."""
        self._state = state
        names = list(CHARTS)
        self._turn = (self._turn + 1) % len(names)
        self._draw(names[self._turn], state)

    def _draw(self, name: str, state: ClusterState) -> None:
        chart = self.query_one(f"#{name}", Chart)
        chart.chosen = self.has_focus and name == list(CHARTS)[self.chosen]
        if chart.region.overlaps(self.region):
            chart.draw(CHARTS[name](state), state.now, WINDOWS[self.window])

    def _again(self) -> None:
        if self._state is not None:
            self.draw(self._state)

    def on_focus(self) -> None:
        """Show which chart is chosen."""
        self.call_after_refresh(self._again)

    def on_blur(self) -> None:
        """No chart is."""
        self.call_after_refresh(self._again)

    def action_choose(self, step: int) -> None:
        """Another chart; it is scrolled to."""
        self.chosen = min(len(CHARTS) - 1, max(0, self.chosen + step))
        self.scroll_to_widget(self.query_one(f"#{list(CHARTS)[self.chosen]}"), animate=False)
        self._again()
        self.call_after_refresh(self._again)

    def action_end_of(self, last: bool) -> None:
        """The first or the last chart."""
        self.action_choose(len(CHARTS) if last else -len(CHARTS))

    def action_window(self) -> None:
        """The next window of time."""
        names = list(WINDOWS)
        self.window = names[(names.index(self.window) + 1) % len(names)]
        self.border_subtitle = self.window
        self._again()

    def action_zoom(self) -> None:
        """The chosen chart on the whole screen."""
        self.post_message(self.Zoomed(list(CHARTS)[self.chosen], self.window))

    def on_click(self, event: Click) -> None:
        """A click chooses a chart, two show it on the whole screen."""
        chart = event.widget
        if isinstance(chart, Chart) and chart.id in CHARTS:
            self.chosen = list(CHARTS).index(chart.id)
            self._again()
            if event.chain > 1:
                self.action_zoom()
