"""Suites: choose one, watch it being measured, hold it or end it. The console behind it stays alive."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import zip_longest
from textwrap import wrap
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content

from core.bench.suite import Suite, SuiteError, load, own, shipped
from core.state import ClusterState
from tui import keymap
from tui.desk import Desk
from tui.host import app_of
from tui.screens.compare import CompareScreen
from tui.screens.explaining import Explaining
from tui.screens.recordings import RecordingsScreen
from tui.widgets.cells import line, mark, pointer
from tui.widgets.chart import Chart
from tui.widgets.courses import courses
from tui.widgets.keybar import KeyBar
from tui.widgets.rows import Rows
from tui.widgets.scroller import Scroller
from tui.widgets.trials import progress_rows, result_rows, verdict_rows

EVERY = 0.5
CHARTS, WIDTH = 3, 56
"""Charts side by side at most, and the columns one of them needs."""
LEAST, MOST = 8, 14
"""Rows of a chart."""


class BenchScreen(Explaining):
    """Draws the state's suite, live or replayed, by a timer."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.BENCH)
    VERBS: ClassVar[Mapping[str, str]] = {"begin": "measure", "hold": "pause", "abort": "end"}

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._suites: list[Suite | str] = []
        """The suites there are; where one cannot be read, why."""
        self._chosen = 0
        self._drawn: ClusterState | None = None
        self._reasons: tuple[str | None, ...] = ()

    def compose(self) -> ComposeResult:
        """Suites above, what is measured below."""
        yield Rows(id="bench-title")
        yield Rows(id="suites")
        yield Rows(id="bench-progress")
        with Scroller(id="bench-results"):
            yield Rows(id="bench-table")
            with Horizontal(id="bench-charts"):
                for _ in range(CHARTS):
                    yield Chart()
            yield Rows(id="bench-notes")
        yield KeyBar()

    def on_mount(self) -> None:
        """Read the suites; draw when there is a width."""
        names = dict.fromkeys((*own(), *shipped()))
        for name in names:
            try:
                self._suites.append(load(name))
            except SuiteError as error:
                self._suites.append(str(error))
        if "quick" in names:
            self._chosen = list(names).index("quick")
        self.query_one(Scroller).focus()
        self.call_after_refresh(self.paint)
        self.set_interval(EVERY, self._look)

    def _look(self) -> None:
        if self._desk.state is not self._drawn:
            self.paint()

    def paint(self) -> None:
        """Draw what is so now."""
        state, width = self._desk.state, self.size.width - 2
        if width <= 0:
            return
        self._drawn = state
        model = state.model.name if state.model else "no model"
        recording = f"  ◉ {state.recording}" if state.recording else ""
        self.query_one("#bench-title", Rows).show(
            [line(("Bench", "bold $text-accent"), (f"  {model}", ""), (recording, "$muted"), width=width)]
        )
        live = state.bench is not None and state.bench.live
        suites = self.query_one("#suites", Rows)
        suites.display = not live and self._desk.playback is None
        suites.keys = [str(i) for i in range(len(self._suites))]
        suites.show([*(self._suite(i, width) for i in range(len(self._suites))), *self._about(width)])
        progress, shown, notes = (
            self.query_one(f"#bench-{name}", Rows) for name in ("progress", "table", "notes")
        )
        if state.bench is None:
            reason = self._desk.why_not("bench")
            text = f"Nothing to measure yet: {reason}." if reason else "Enter measures the chosen suite."
            progress.show([line((text, "$muted"), width=width)])
        else:
            progress.show(progress_rows(state.bench, state.now, width))
            shown.show(result_rows(state.bench, width))
            notes.show(verdict_rows(state.bench, width))
        self._plot(state, width)
        reasons = tuple(self.why_not(action) for action in self.VERBS)
        if reasons != self._reasons:
            self._reasons = reasons
            self.refresh_bindings()

    def _plot(self, state: ClusterState, width: int) -> None:
        """Charts below the table, where it leaves them room; the notes below give way to the smallest."""
        bench, box = state.bench, self.query_one("#bench-charts", Horizontal)
        data = courses(bench)[: max(1, width // WIDTH)] if bench else []
        taken = [rows.lines + 1 for rows in self.query(Rows) if rows.display]
        notes = self.query_one("#bench-notes", Rows).lines + 1
        room = self.size.height - self.query_one(KeyBar).size.height - sum(taken) + notes - 1
        box.display = bool(data) and room >= LEAST
        if bench is None or not box.display:
            return
        box.styles.height = min(MOST, max(LEAST, room - notes))
        now = bench.done.t if bench.done else state.now
        for chart, shown in zip_longest(self.query(Chart), data):
            chart.display = shown is not None
            if shown is not None:
                chart.draw(shown, now, math.inf)

    def _suite(self, i: int, width: int) -> Content:
        suite, at = self._suites[i], i == self._chosen
        if isinstance(suite, str):
            row = line(pointer(at), (f" ✖ {suite}", "$text-error"), width=width)
        else:
            points, plans = len(suite.points), len(suite.plans) + len(suite.plan)
            told = f" points {points} · plans {plans} · launches {suite.launches}"
            row = line(pointer(at), (f" {suite.name:10}", "bold"), (told, "$muted"), width=width)
        return mark(row, width) if at else row

    def _about(self, width: int) -> list[Content]:
        """What the chosen suite is for."""
        suite = self._suites[self._chosen] if self._suites else ""
        if isinstance(suite, str):
            return []
        return [Content(), *(line((row, "$muted"), width=width) for row in wrap(suite.about, width))]

    def on_resize(self) -> None:
        """Rows are made for a width."""
        self.call_after_refresh(self.paint)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What cannot be done now is dimmed, what never can in a replay left out."""
        if action in ("choose", "begin", "hold", "abort") and self._desk.playback is not None:
            return False
        bench = self._desk.state.bench
        if action == "choose" and bench is not None and bench.live:
            return False  # there is nothing to choose: the keys scroll
        return True if self.why_not(action) is None else None

    def why_not(self, action: str, parameters: tuple[object, ...] = ()) -> str | None:
        """The reason an action is not possible now."""
        bench = self._desk.state.bench
        live = bench is not None and bench.live
        match action:
            case "begin":
                return self._desk.why_not("bench")
            case "hold" | "abort":
                return None if live else "no suite is being measured"
            case _:
                return None

    def on_rows_pointed(self, message: Rows.Pointed) -> None:
        """Choose the suite that was clicked."""
        self.action_choose(int(message.key) - self._chosen)

    def action_choose(self, step: int) -> None:
        """Another suite."""
        self._chosen = (self._chosen + step) % max(1, len(self._suites))
        self.paint()

    def action_begin(self) -> None:
        """Measure it."""
        suite = self._suites[self._chosen] if self._suites else ""
        if isinstance(suite, str):
            self.notify(suite, severity="warning", markup=False)
        elif self._desk.intents is not None:
            self._desk.intents.bench(suite)

    def action_hold(self) -> None:
        """Pause or go on."""
        bench = self._desk.state.bench
        if self._desk.intents is not None and bench is not None:
            self._desk.intents.pause_bench(not bench.paused)

    @work(exclusive=True)
    async def action_compare(self) -> None:
        """Choose recordings, then show them side by side."""
        files = await app_of(self).push_screen_wait(RecordingsScreen())
        if files:
            app_of(self).push_screen(CompareScreen(files))

    def action_abort(self) -> None:
        """End the suite."""
        if self._desk.intents is not None:
            self._desk.intents.abort_bench()
