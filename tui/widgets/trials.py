"""What a suite has measured so far, in rows."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from core.bench import export, report
from core.bench.metrics import AGGREGATE, DECODE, GAPS, PREFILL, TTFT, telling
from core.bench.progress import Progress, turn
from core.bench.table import Row, rows
from tui.widgets.cells import Cell, line, table
from tui.widgets.figures import clock

BARS = "▁▂▃▄▅▆▇█"
RECENT = 12
"""Runs of a point shown as a course."""
SHOWN = (DECODE, TTFT, PREFILL, AGGREGATE, GAPS[0], GAPS[2])
DROP = (8, 7, 6, 5, 9, 2, 4)
"""Columns that go first where there is no room."""


def course(values: Sequence[float]) -> str:
    """The last values as a row of bars from nothing up: steady is level."""
    recent = values[-RECENT:]
    most = max(recent, default=0.0)
    return "".join(BARS[int(value / most * 6)] for value in recent) if most > 0 else ""


def progress_rows(progress: Progress, now: float, width: int) -> list[Content]:
    """What is being measured, how far the suite is, and how long it has taken."""
    suite, done = progress.suite, progress.done
    count = len(progress.trials) + progress.failed
    if done is not None:
        word = {
            "done": ("✓ measured", "$text-success"),
            "abort": ("■ ended by you", "$text-warning"),
            "error": (f"✖ {done.detail or 'failed'}", "$text-error"),
        }[done.why]
    elif progress.paused:
        word = ("⏸ paused", "$text-warning")
    else:
        word = ("● measuring", "$text-success")
    cells: list[Cell] = [word, (f"  {suite.name}", "bold"), (f"  {count} runs", "")]
    if progress.failed:
        cells.append((f", {progress.failed} failed", "$text-error"))
    cells.append((f"  {clock((done.t if done else now) - progress.started)}", "$muted"))
    trial = progress.now
    if trial is not None:
        launch = f", launch {trial.launch + 1} of {suite.launches}" if suite.launches > 1 else ""
        said = f"{trial.plan}{launch}: {trial.point.label}, {turn(suite, trial)}"
    elif done is None:
        said = "launching the next plan…" if not progress.paused else "the next run waits; space goes on"
    else:
        said = ""
    return [line(*cells, width=width), line((said, "$muted"), width=width)]


def result_rows(progress: Progress, width: int) -> list[Content]:
    """A row a plan and point: figures with their intervals, and the course of its runs."""
    found = rows(progress.trials, progress.suite.goal)
    if not found:
        return [line(("Figures appear after the warm-ups.", "$muted"), width=width)]
    heads: list[Cell] = [
        (text, "bold $text-accent")
        for text in ("plan", "point", "n", *(f"{m.title} {m.unit}" for m in SHOWN), "course")
    ]
    body = [_cells(row) for row in found]
    return table([heads, *body], width, flex=0, right=range(2, 9), drop=DROP)


def _cells(row: Row) -> list[Cell]:
    main = telling(row.point)
    values = [value for trial in row.trials if (value := main.of(trial)) is not None]
    figures: list[Cell] = [
        (report.figure(row.figures.get(metric.key), metric.digits), "bold" if metric is main else "")
        for metric in SHOWN
    ]
    return [
        (row.plan, ""),
        (row.label, ""),
        (str(len(row.trials)), "$muted"),
        *figures,
        (course(values), "$text-accent"),
    ]


def verdict_rows(progress: Progress, width: int) -> list[Content]:
    """What each rank spent, and what ± means."""
    made = rows(progress.trials)
    if not made:
        return []
    heads, body = export.spent(made)
    told: list[list[Cell]] = [[(text, "bold $text-accent") for text in heads]]
    told += [[(text, "") for text in row] for row in body]
    ranks = [*table(told, width, flex=0, right=range(2, 6), drop=(4, 3)), Content()] if body else []
    return [*ranks, *Content.styled(export.meaning(made), "$muted").wrap(width)]
