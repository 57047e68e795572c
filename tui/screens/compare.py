"""Recordings compared with the first of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from textwrap import wrap
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content

from core.bench.report import Report, compared, report
from core.text import clean_line
from tui import keymap
from tui.screens.closing import Closing
from tui.widgets.cells import line
from tui.widgets.compared import comparison_rows, side_rows
from tui.widgets.keybar import KeyBar
from tui.widgets.rows import Rows
from tui.widgets.scroller import Scroller

SINGLE = "It holds a single plan: mark a second recording to compare it with."


def read_report(path: Path) -> Report | str:
    """What a recording says, or why it cannot be read."""
    from core.session.format import RecordingError, read

    try:
        return report(read(path), clean_line(path.name))
    except RecordingError as error:
        return str(error)


class CompareScreen(Closing[None]):
    """Files are read on a thread: a long recording takes a second or two."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.COMPARE)

    def __init__(self, files: list[Path]) -> None:
        super().__init__()
        self._files = files
        self._reports: list[Report] = []
        self._problems: list[str] = []

    def compose(self) -> ComposeResult:
        """Which ones above, what came of it below."""
        yield Rows(id="compare-title")
        yield Rows(id="sides")
        with Scroller(id="comparisons"):
            yield Rows(id="compared")
        yield KeyBar()

    def on_mount(self) -> None:
        """Read them."""
        self.query_one(Scroller).focus()
        self._read()

    @work
    async def _read(self) -> None:
        for file in self._files:
            self._title(f"reading {clean_line(file.name)}…")
            read = await asyncio.to_thread(read_report, file)
            if isinstance(read, Report):
                self._reports.append(read)
            else:
                self._problems.append(read)
        self.call_after_refresh(self.paint)

    def _title(self, text: str) -> None:
        cells = (("Compare", "bold $text-accent"), (f"  {text}", "$muted"))
        self.query_one("#compare-title", Rows).show([line(*cells, width=max(1, self.size.width - 2))])

    def paint(self) -> None:
        """Draw what is known."""
        width = self.size.width - 2
        if width <= 0:
            return
        with_first = (
            f"{len(self._reports)} recordings" if len(self._reports) > 1 else "plans of one recording"
        )
        self._title(with_first)
        problems = [
            line((part, "$text-error"), width=width)
            for text in self._problems
            for part in wrap(f"✖ {text}", width)
        ]
        self.query_one("#sides", Rows).show([*side_rows(self._reports, width), *problems])
        rows: list[Content] = []
        for one in compared(self._reports):
            rows += [*comparison_rows(one, width - 1), Content()]
        if not rows and self._reports:
            rows = [line((SINGLE, "$muted"), width=width)]
        self.query_one("#compared", Rows).show(rows)

    def on_resize(self) -> None:
        """Rows are made for a width."""
        if self._reports or self._problems:
            self.call_after_refresh(self.paint)

    def action_turn(self) -> None:
        """Compare with the next one instead."""
        if len(self._reports) > 1:
            self._reports = [*self._reports[1:], self._reports[0]]
            self.paint()
        else:
            self.notify("There is no other recording to compare with", severity="warning")
