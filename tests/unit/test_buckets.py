"""What a chart draws of the samples: the window, the gaps, one point a column."""

from __future__ import annotations

import math

from core.series import SPAN, Series
from tui.widgets.buckets import runs, samples, window


def _series(*stretches: range, every: float = 1.0) -> Series:
    series = Series()
    for stretch in stretches:
        for i in stretch:
            series = series.push(i * every, 1.0)
    return series


def test_a_silence_is_a_gap_also_where_nobody_said_so() -> None:
    series = _series(range(0, 20), range(40, 60))
    assert len(runs(series, 0, 60, 60, 1, 1, gap=5)) == 2
    assert len(runs(series, 0, 60, 60, 1, 1, gap=30)) == 1


def test_a_sample_that_is_none_is_a_gap() -> None:
    series = Series().push(0, 1.0).push(1, None).push(2, 1.0).push(3, math.nan).push(4, 1.0)
    assert len(runs(series, 0, 60, 60, 1, 1)) == 3


def test_a_line_ends_where_its_samples_do_while_time_goes_on() -> None:
    series = _series(range(0, 30))
    start, span = window([series], now=59)
    (line,) = runs(series, start, span, 60, 1, 1, gap=5)
    assert line[-1][0] == 29


def test_windows_show_a_minute_ten_minutes_or_everything() -> None:
    series = _series(range(0, 7200))
    now = 7199.0
    assert window([series], now, 60) == (now - 60, 60)
    assert window([series], now, SPAN) == (now - SPAN, SPAN)
    assert window([series], now, math.inf) == (0, 7200)
    assert window([], now) == (now, 60)


def test_what_is_thinned_and_what_is_not_make_one_line() -> None:
    series = _series(range(0, 3600))
    for most in (60.0, SPAN, math.inf):
        start, span = window([series], 3599.0, most)
        assert len(runs(series, start, span, 100, 1, 1, gap=5)) == 1
    assert next(iter(samples(series, 0)))[0] == 0
    assert next(iter(samples(series, 3000)))[0] == 3000


def test_a_picture_stands_still_until_a_column_is_full() -> None:
    series = Series()
    pictures = []
    for t in range(1000, 1012):
        series = series.push(float(t), float(t % 7))
        pictures.append(runs(series, 400.0 + t - 1000, 600, 60, 1, 10))
    columns = [tuple(point[0] for run in picture for point in run) for picture in pictures]
    assert len(set(columns)) <= 3
