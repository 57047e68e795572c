"""The cluster map: a graph for as many devices as one can see at once, a table for more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Click

from core.state import ClusterState, Device
from tui import keymap
from tui.desk import Desk
from tui.host import app_of
from tui.netmap import SORTS, edge, shown, usual_us
from tui.screens.closing import Closing
from tui.screens.device import DeviceScreen, tell_measured
from tui.widgets.cells import Cell, line
from tui.widgets.filterbar import FilterBar, Filtered
from tui.widgets.keybar import KeyBar
from tui.widgets.mapview import device_table, star, triangle
from tui.widgets.rows import Rows

EVERY = 1.0
DRAWN = 12
"""Devices that are drawn as a graph; more begin as a table."""


class MapPane(VerticalScroll, Filtered):
    """The devices, one of them chosen: the graph is drawn around that one."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.MAP)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._chosen: str | None = None
        self._needle = ""
        self._sort = SORTS[0]
        self._table: bool | None = None
        """What was asked for; None is by the number of devices."""
        self._drawn: ClusterState | None = None

    def compose(self) -> ComposeResult:
        """Rows, however they come about."""
        yield Rows(id="map")
        yield FilterBar()

    def on_mount(self) -> None:
        """Draw now and once a second."""
        self.set_interval(EVERY, self.paint)

    def on_resize(self) -> None:
        """What is drawn is drawn for a size."""
        self._again()

    def paint(self) -> None:
        """Draw the state, if it is another one."""
        state, width = self._desk.state, self.size.width
        if state is not self._drawn and width:
            self._drawn = state
            self.query_one("#map", Rows).show(self._rows(state, width))

    def _again(self) -> None:
        self._drawn = None
        self.paint()

    def _rows(self, state: ClusterState, width: int) -> list[Content]:
        devices = shown(state, self._needle, self._sort)
        known = [device.id for device in devices]
        if self._chosen not in known:
            self._chosen = known[0] if known else None
        tabled = len(devices) > DRAWN if self._table is None else self._table
        head = line(*_heading(state, known, self._sort), width=width)
        if not devices:
            why = (
                "nothing matches; esc clears the filter"
                if state.devices
                else "no device yet: 1 shows what was found"
            )
            return [head, Content(""), line((why, "$muted"), width=width)]
        if tabled:
            return [head, Content(""), *device_table(state, devices, width, self._chosen)]
        hub = next(device for device in devices if device.id == self._chosen)
        rows = [head, Content(""), *star(state, devices, hub, width)]
        pairs = triangle(state, devices, width)
        if pairs:
            title = line(("All pairs", "bold $text-accent"), ("  median round trip", "$muted"), width=width)
            rows += [Content(""), title, *pairs]
        return rows

    def narrow(self, needle: str) -> None:
        """Only devices that match."""
        self._needle = needle
        self._again()

    def _known(self) -> list[str]:
        return [device.id for device in shown(self._desk.state, self._needle, self._sort)]

    def action_choose(self, step: int) -> None:
        """Another device."""
        known = self._known()
        if known:
            at = known.index(self._chosen) if self._chosen in known else 0
            self._chosen = known[min(len(known) - 1, max(0, at + step))]
            self._again()
            self._follow(known.index(self._chosen))

    def action_end_of(self, last: bool) -> None:
        """The first or the last device."""
        self.action_choose(len(self._known()) if last else -len(self._known()))

    def _follow(self, index: int) -> None:
        """Keep the chosen row of a table in sight."""
        top, height = int(self.scroll_offset.y), self.size.height
        row = index + 3
        if not top <= row < top + height:
            self.scroll_to(y=max(0, row - height // 2), animate=False)

    def action_table(self) -> None:
        """Graph or table."""
        many = len(self._known()) > DRAWN
        self._table = not (many if self._table is None else self._table)
        self._again()

    def action_sort(self) -> None:
        """By the next thing."""
        self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self._again()

    def action_open(self) -> None:
        """All about the chosen device."""
        if self._chosen is not None:
            app_of(self).push_screen(DeviceScreen(self._desk, self._chosen))

    def action_measure(self) -> None:
        """What the paths of the chosen device carry."""
        if self._chosen is not None:
            tell_measured(self, self._desk, self._chosen)

    def action_lap(self) -> None:
        """How fast the plan's ranks hand over to each other."""
        reason = self._desk.why_not("lap")
        if reason or self._desk.intents is None:
            self.notify(f"Cannot measure hand-overs: {reason}", severity="warning", markup=False)
        else:
            self._desk.intents.lap()
            self.notify("Measuring hand-overs between the plan's ranks; the log says what came of it")

    def on_click(self, event: Click) -> None:
        """A click on a name chooses that device, a second one opens it."""
        rows = self.query_one("#map", Rows)
        lines, at = rows.text.splitlines(), event.screen_offset - rows.region.offset
        if not 0 <= at.y < len(lines):
            return
        device = named(shown(self._desk.state, self._needle, self._sort), lines[at.y], at.x)
        if device is not None:
            again = device == self._chosen and event.chain > 1
            self._chosen = device
            self._again()
            if again:
                self.action_open()


def named(devices: Sequence[Device], row: str, x: int) -> str | None:
    """Id of the device whose name stands nearest to cell `x` of a row; of names in one place the longest."""
    found: list[tuple[int, int, str]] = []
    for device in devices:
        for at in re.finditer(rf"(?<!\S){re.escape(device.name)}(?!\S)", row):
            start, end = cell_len(row[: at.start()]), cell_len(row[: at.end()])
            found.append((max(start - x, x - end + 1, 0), start - end, device.id))
    return min(found)[2] if found else None


def _heading(state: ClusterState, known: list[str], sort: str) -> list[Cell]:
    usual = usual_us(state)
    pairs = {tuple(sorted((li.source, li.target))) for li in state.links.values()}
    conditions = [edge(state, a, b, usual).condition for a, b in pairs]
    slow, dead = conditions.count("slow"), conditions.count("dead")
    cells: list[Cell] = [
        ("Map", "bold $text-accent"),
        (f"  {len(known)} of {len(state.devices)} devices", ""),
    ]
    cells.append((f" · {len(conditions)} links", ""))
    if slow:
        cells.append((f" · ▲ {slow} slow", "$text-warning"))
    if dead:
        cells.append((f" · ✖ {dead} dead", "$text-error"))
    return [*cells, (f"  by {sort}", "$muted")]


class MapScreen(Closing[None]):
    """The map on a screen of its own."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.BACK)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def compose(self) -> ComposeResult:
        """The map, and what keys do there."""
        yield MapPane(self._desk)
        yield KeyBar()
