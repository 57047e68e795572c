"""What happened, and the ranks' stderr, in the order it came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from core.events import Level
from core.state import ClusterState, Run
from tui.widgets.figures import wall
from tui.widgets.filterbar import FilterBar, Filtered, matches
from tui.widgets.links import device_name
from tui.widgets.rows import StateRows
from tui.widgets.scroller import Scroller

LEVELS: dict[Level, tuple[str, str]] = {
    "info": ("• info   ", "$text-primary"),
    "warning": ("▲ warning", "$text-warning"),
    "error": ("✖ error  ", "$text-error"),
}
INDENT = 20
"""Column where the text of an entry begins."""


class Entry(NamedTuple):
    """One line of the log."""

    t: float
    mark: str
    tone: str
    text: str


def entries(state: ClusterState) -> list[Entry]:
    """Alerts, faults, the run's turns and its ranks' lines, oldest first."""
    found: list[Entry] = []
    for alert in state.alerts:
        found.append(_entry(alert.t, alert.level, f"{alert.subject}: {alert.text}"))
    for fault in state.faults:
        found.append(_entry(fault.t, "warning", f"{fault.target}: {fault.kind}, on purpose"))
    run = state.run
    found += _turns(state, run) if run else ()
    for rank in run.ranks if run else ():
        who = f"rank {rank.rank} {device_name(state, rank.device)}"
        lines = zip(rank.logged, rank.log, strict=True)
        found += [_stderr(t, who, text) for t, text in lines]
    for verdict in state.verdicts:
        if run is None or verdict.run != run.id:  # of another one all lines are here
            who = f"rank {verdict.rank} {device_name(state, verdict.device)}"
            found += [_stderr(verdict.t, who, text) for text in verdict.log]
    return sorted(found, key=lambda entry: entry.t)


def _entry(t: float, level: Level, text: str) -> Entry:
    mark, tone = LEVELS[level]
    return Entry(t, mark, tone, text)


def _stderr(t: float, who: str, text: str) -> Entry:
    return Entry(t, "  stderr ", "$muted", f"{who}: {text}")


def _turns(state: ClusterState, run: Run) -> Iterator[Entry]:
    """Start, readiness and end of the run."""
    names = ", ".join(device_name(state, rank.device) for rank in run.ranks)
    yield _entry(run.started, "info", f"run: launched on {names}")
    if run.ready:
        yield _entry(run.ready.t, "info", f"run: ready after {run.ready.seconds:.1f} s")
    if run.stopped:
        level: Level = "error" if run.stopped.failed else "info"
        yield _entry(run.stopped.t, level, f"run: {run.stopped.reason or 'stopped'}")


@lru_cache(2048)
def entry_rows(entry: Entry, width: int) -> tuple[Content, ...]:
    """The entry on as many rows as it needs, its text in a column of its own where there is room."""
    head = Content.assemble((f"{wall(entry.t)} ", "$muted"), (f"{entry.mark} ", entry.tone))
    text = Content(entry.text.replace("\t", " "))
    room = width - INDENT
    if room < 20:
        return tuple((head + text).wrap(max(1, width)))
    first, *rest = text.wrap(room) or [Content("")]
    return (
        head.pad_right(max(0, INDENT - head.cell_length)) + first,
        *(Content(" " * INDENT) + r for r in rest),
    )


class LogRows(StateRows):
    """The log's rows."""

    def __init__(self) -> None:
        super().__init__()
        self.needle = ""

    def rows(self, state: ClusterState, width: int) -> Sequence[Content]:
        """Every entry, wrapped."""
        known = entries(state)
        if not known:
            return [Content.styled("nothing to report", "$muted")]
        found = [entry for entry in known if matches(self.needle, f"{entry.mark} {entry.text}")]
        if not found:
            return [Content.styled("nothing matches the filter; esc clears it", "$muted")]
        return [row for entry in found for row in entry_rows(entry, width)]


class LogPane(Vertical, Filtered):
    """The log, kept at its end until someone scrolls up."""

    BORDER_TITLE = "4 Log"

    def compose(self) -> ComposeResult:
        """The rows in what scrolls them, above the filter."""
        with Scroller():
            yield LogRows()
        yield FilterBar()

    def on_mount(self) -> None:
        """Follow what is new."""
        self.query_one(Scroller).anchor()

    def draw(self, state: ClusterState) -> None:
        """Show `state`."""
        self.query_one(LogRows).draw(state)

    def narrow(self, needle: str) -> None:
        """Only entries that match."""
        self.query_one(LogRows).needle = needle
        self.query_one(LogRows).redraw()
