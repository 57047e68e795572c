"""A live chart: title and legend above a plotext picture, repainted by changed rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.style import Style
from textual.color import Color
from textual.content import Content
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

from core.series import Series
from tui.host import app_of
from tui.widgets import plot
from tui.widgets.buckets import largest, nice, runs, window
from tui.widgets.cells import line
from tui.widgets.figures import duration, wall
from tui.widgets.planstrip import SERIES, series_style

_LEAST = (16, 4)
"""Columns and rows below which there is only the legend."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a chart."""

    name: str
    series: Series
    last: str
    """The newest value, with its unit."""


@dataclass(frozen=True, slots=True)
class ChartData:
    """What one chart shows."""

    title: str
    lines: tuple[Line, ...]
    scale: float
    """From the unit of the samples to that of the axis."""
    axis: Callable[[float], str]
    """How a value is written at the axis."""
    empty: str
    """Why there is nothing to see."""


class Chart(Widget):
    """Draws what it is given. Samples that plotext could not survive never reach it."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Chart { width: 1fr; height: 1fr; }"

    _data: ChartData | None = None
    _drawn: object = None

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._strips: list[Strip] = []

    @property
    def text(self) -> str:
        """What is shown, without styles."""
        return "\n".join(strip.text for strip in self._strips)

    def draw(self, data: ChartData) -> None:
        """Show `data`. Costs nothing when no series has a new sample."""
        key = (
            tuple((li.name, li.last, li.series.total, li.series.times[-1:]) for li in data.lines),
            data.empty,
        )
        self._data = data
        if self._drawn == key or not self.size.width:
            return
        self._drawn = key
        old, self._strips = self._strips, self._build(data)
        if len(old) != len(self._strips):
            self.refresh()
            return
        pairs = enumerate(zip(old, self._strips, strict=True))
        changed = [Region(0, y, self.size.width, 1) for y, (a, b) in pairs if a != b]
        if changed:
            self.refresh(*changed)

    def on_resize(self, _event: Resize) -> None:
        """A picture is made for a size."""
        self._again()

    def notify_style_update(self) -> None:
        """Strips hold colours: a new theme makes them stale."""
        super().notify_style_update()
        if self._strips:
            self.call_later(self._again)

    def _again(self) -> None:
        self._drawn = None
        self._strips = []
        if self._data is not None:
            self.draw(self._data)

    def render_line(self, y: int) -> Strip:
        """The stored strip."""
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.rich_style)

    def _build(self, data: ChartData) -> list[Strip]:
        width, height = self.size
        held = [li for li in data.lines if li.series.held]
        if not held:
            said = line((data.title, "bold $text-accent"), width=width)
            why = line((f"no data yet — {data.empty}", "$muted"), width=width)
            return [self._strip(said), self._strip(why)]
        start, span = window([li.series for li in data.lines])
        head = legend(data, span, width, 1 if height < 8 else 2)
        rows = [self._strip(row) for row in head]
        size = (width, height - len(rows))
        if size[0] < _LEAST[0] or size[1] < _LEAST[1]:
            return rows
        return rows + self._picture(data, start, span, size)

    def _picture(self, data: ChartData, start: float, span: float, size: tuple[int, int]) -> list[Strip]:
        high = nice(max(largest(li.series, data.scale) for li in data.lines))
        values = (data.axis(0), data.axis(high / 2), data.axis(high))
        columns = max(2, size[0] - max(map(cell_len, values)) - 2)
        curves = [
            (points, self._colour(index))
            for index, li in enumerate(data.lines)
            for points in runs(li.series, start, span, columns, data.scale, high)
        ]
        left = math.floor(start / (span / columns)) * span / columns
        picture = plot.render(curves, size, columns, (wall(left), wall(left + span)), values)
        return plot.strips(picture, size[0], self._axis_style())

    def _strip(self, content: Content) -> Strip:
        width = self.size.width
        made = Visual.to_strips(self, content, width, 1, self.visual_style, apply_selection=False, pad=True)
        return made[0].adjust_cell_length(width, self.rich_style)

    def _axis_style(self) -> Style:
        muted = self.background_colors[1].get_contrast_text(0.6)
        return self.rich_style + Style(color=(self.background_colors[1] + muted).rich_color)

    def _colour(self, index: int) -> tuple[int, int, int]:
        named = app_of(self).theme_variables.get(f"series-{index % SERIES + 1}", "white")
        return Color.parse(named).rgb


def legend(data: ChartData, span: float, width: int, most: int) -> list[Content]:
    """Title and last value of each series, packed into at most `most` lines of `width`."""
    rows: list[list[tuple[str, str]]] = [
        [(data.title, "bold $text-accent"), (f" {duration(span)}", "$muted")]
    ]
    used = cell_len(data.title) + cell_len(duration(span)) + 1
    for index, li in enumerate(data.lines):
        item = cell_len(li.name) + cell_len(li.last) + 5
        if used + item > width:
            if len(rows) == most:
                rows[-1].append((f"  +{len(data.lines) - index}", "$muted"))
                break
            rows.append([])
            used = 0
        rows[-1] += [("  ━ ", series_style(index)), (li.name, ""), (f" {li.last}", "bold")]
        used += item
    return [line(*row, width=width) for row in rows]
