"""A live chart: title and legend above a plotext picture, repainted by changed rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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

from core.series import SPAN, Series
from tui.host import app_of
from tui.widgets import plot
from tui.widgets.buckets import Point, largest, nice, runs, window
from tui.widgets.cells import Cell, line
from tui.widgets.figures import duration, wall
from tui.widgets.planstrip import SERIES, series_style

LETTERS = "ABCDEFGH"
"""At the end of each of several lines, and before its name: no line is told by its colour alone."""
_LEAST = (16, 4)
"""Columns and rows below which there is only the legend."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a chart."""

    name: str
    series: Series
    last: str
    """The newest value, with its unit."""
    scale: float = 1.0
    """From the unit of the samples to that of the axis."""


@dataclass(frozen=True, slots=True)
class ChartData:
    """What one chart shows."""

    title: str
    lines: tuple[Line, ...]
    axis: Callable[[float], str]
    """How a value is written at the axis."""
    empty: str
    """Why there is nothing to see."""
    gap: float = math.inf
    """Seconds without a sample after which a line ends."""
    high: float | None = None
    """Top of the axis, where it is always the same."""
    more: int = 0
    """Lines there would be besides these."""


class Chart(Widget):
    """Draws what it is given. Samples that plotext could not survive never reach it."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Chart { width: 1fr; height: 1fr; }"

    chosen = False
    """Whether keys are about this chart."""
    _last: tuple[ChartData, float, float] | None = None
    _drawn: object = None

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._strips: list[Strip] = []

    @property
    def text(self) -> str:
        """What is shown, without styles."""
        return "\n".join(strip.text for strip in self._strips)

    def draw(self, data: ChartData, now: float, most: float = SPAN) -> None:
        """Show the last `most` seconds before `now`. Costs nothing when that would look the same."""
        self._last = (data, now, most)
        if not self.size.width:
            return
        start, span = window([li.series for li in data.lines], now, most)
        step = span / max(1, self.size.width)
        lines = tuple((li.name, li.last, li.series.total) for li in data.lines)
        key = (data.title, lines, data.empty, data.more, span, math.floor(start / step), self.chosen)
        if self._drawn == key:
            return
        self._drawn = key
        old, self._strips = self._strips, self._build(data, start, span)
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
        if self._last is not None:
            self.draw(*self._last)

    def render_line(self, y: int) -> Strip:
        """The stored strip."""
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.rich_style)

    def _build(self, data: ChartData, start: float, span: float) -> list[Strip]:
        width, height = self.size
        held = [li for li in data.lines if li.series.held]
        if not held:
            said = line(_mark(self.chosen), (data.title, "bold $text-accent"), width=width)
            why = Content.styled(f"no data yet — {data.empty}", "$muted").wrap(max(1, width))
            return [self._strip(row) for row in (said, *why)]
        head = legend(data, span, width, 1 if height < 8 else 2 if height < 16 else 4, self.chosen)
        rows = [self._strip(row) for row in head]
        size = (width, height - len(rows))
        if size[0] < _LEAST[0] or size[1] < _LEAST[1]:
            return rows
        return rows + self._picture(data, start, span, size)

    def _picture(self, data: ChartData, start: float, span: float, size: tuple[int, int]) -> list[Strip]:
        high = data.high or nice(max(largest(li.series, start, li.scale) for li in data.lines))
        values = (data.axis(0), data.axis(high / 2), data.axis(high))
        columns = max(2, size[0] - max(map(cell_len, values)) - 2)
        curves = [
            (points, index)
            for index, li in enumerate(data.lines)
            for points in runs(li.series, start, span, columns, li.scale, high, data.gap)
        ]
        left = math.floor(start / (span / columns)) * span / columns
        ends = {index: points[-1] for points, index in curves} if len(data.lines) > 1 else {}
        tags = [(at, LETTERS[index], index) for index, at in apart(ends, columns, size[1]).items()]
        picture = plot.render(curves, size, columns, (wall(left), wall(left + span)), values, tags)
        base = self._axis_style()
        styles = [base + Style(color=self._colour(index).rich_color) for index in range(len(data.lines))]
        return plot.strips(picture, size[0], base, styles)

    def _strip(self, content: Content) -> Strip:
        width = self.size.width
        made = Visual.to_strips(self, content, width, 1, self.visual_style, apply_selection=False, pad=True)
        return made[0].adjust_cell_length(width, self.rich_style)

    def _axis_style(self) -> Style:
        named = app_of(self).theme_variables.get("muted", "gray")
        return self.rich_style + Style(color=Color.parse(named).rich_color)

    def _colour(self, index: int) -> Color:
        return Color.parse(app_of(self).theme_variables.get(f"series-{index % SERIES + 1}", "white"))


def _mark(chosen: bool) -> Cell:
    return ("› " if chosen else "", "bold $text-accent")


def apart(ends: Mapping[int, Point], columns: int, rows: int) -> dict[int, Point]:
    """The points, those that would be on top of another moved to the left of it, or to the right."""
    found: dict[int, Point] = {}
    for index, (x, y) in ends.items():
        near = {column for column, height in found.values() if abs(y - height) < 1 / rows}
        free = (float(at) for at in [*range(int(x), -1, -1), *range(int(x), columns)] if at not in near)
        found[index] = (next(free, x), y)
    return found


def legend(data: ChartData, span: float, width: int, most: int, chosen: bool = False) -> list[Content]:
    """Title and last value of each series, packed into at most `most` lines of `width`.

    What has no room is counted. A value is never cut: an item is there as a whole or not at all.
    """
    title: list[Cell] = [_mark(chosen), (data.title, "bold $text-accent"), (f" {duration(span)}", "$muted")]
    rows: list[list[Cell]] = [title]
    used = sum(cell_len(text) for text, _ in title)
    for index, li in enumerate(data.lines):
        left = len(data.lines) - index - 1 + data.more
        rest = 6 if left else 0
        item = cell_len(li.name) + cell_len(li.last) + 5
        if used + item + (rest if len(rows) == most else 0) > width:
            if len(rows) == most:
                rows[-1].append((f"  +{left + 1}", "$muted"))
                return [line(*row, width=width) for row in rows]
            rows.append([])
            used = 0
        mark = LETTERS[index] if len(data.lines) > 1 else "━"
        rows[-1] += [(f"  {mark} ", series_style(index)), (li.name, ""), (f" {li.last}", "bold")]
        used += item
    if data.more:
        rows[-1].append((f"  +{data.more}", "$muted"))
    return [line(*row, width=width) for row in rows]
