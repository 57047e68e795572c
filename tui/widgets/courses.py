"""The runs of a suite as charts: one a point, a line a plan."""

from __future__ import annotations

from collections.abc import Sequence

from core.bench.metrics import Metric, Trial, telling
from core.bench.progress import Progress
from core.bench.suite import Point
from core.series import Series
from tui.widgets.chart import ChartData, Line
from tui.widgets.plots import foremost


def courses(progress: Progress) -> list[ChartData]:
    """Of each point what it is about, from run to run, for every plan; without the warm-ups."""
    found: dict[Point, dict[str, list[Trial]]] = {}
    for trial in progress.trials:
        if trial.point is not None and not trial.warmup and not trial.error:
            found.setdefault(trial.point, {}).setdefault(trial.plan, []).append(trial)
    return [_chart(point, plans) for point, plans in found.items()]


def _chart(point: Point, plans: dict[str, list[Trial]]) -> ChartData:
    metric = telling(point)
    lines = [_line(plan, metric, trials) for plan, trials in plans.items()]
    shown, more = foremost(lines, lambda li: li.series.last)
    title = f"{point.label} {metric.title} {metric.unit}"
    return ChartData(title, tuple(shown), lambda v: f"{v:g}", "no run had a figure", more=more)


def _line(plan: str, metric: Metric, trials: Sequence[Trial]) -> Line:
    times: list[float] = []
    values: list[float | None] = []
    launch = trials[0].launch
    for trial in trials:
        end = trial.started + trial.seconds
        if trial.launch != launch:  # other plans were measured between two launches
            times.append(end)
            values.append(None)
        launch = trial.launch
        times.append(end)
        values.append(metric.of(trial))
    series = Series(tuple(times), tuple(values), len(times))
    last = "—" if series.last is None else f"{series.last:.{metric.digits}f}"
    return Line(plan, series, last)
