"""Intervals that hold as often as they say."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from core.bench.compare import ENOUGH_LAUNCHES, contrast
from core.bench.stats import effective, interval, quantile, t_quantile

TABLE = [  # two-sided Student quantiles, as printed in any table
    (0.95, 1, 12.7062), (0.95, 2, 4.30265), (0.95, 3, 3.18245), (0.95, 10, 2.22814), (0.99, 1, 63.6567),
    (0.99, 5, 4.03214), (0.99, 30, 2.75000), (0.999, 8, 5.04131), (0.95, 1000, 1.96234),
]  # fmt: skip


@pytest.mark.parametrize(("confidence", "freedom", "t"), TABLE)
def test_student_quantiles_are_those_of_the_tables(confidence: float, freedom: int, t: float) -> None:
    assert t_quantile(confidence, freedom) == pytest.approx(t, rel=1e-5)


def test_quantiles_are_numpys() -> None:
    drawn = random.Random(1)
    for count in (1, 2, 5, 100):
        values = [drawn.random() for _ in range(count)]
        for share in (0.0, 0.5, 0.9, 0.99, 1.0):
            assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)))
    assert quantile([], 0.5) is None


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    drawn = random.Random(2)
    held = 0
    for _ in range(400):
        found = interval([drawn.gauss(10, 2) for _ in range(5)])
        assert found.half is not None
        held += abs(found.mean - 10) <= found.half
    assert 0.92 < held / 400 < 0.98
    assert interval([3.0]).half is None


def test_values_that_follow_one_another_count_for_less() -> None:
    drawn = random.Random(3)
    apart = [drawn.gauss(0, 1) for _ in range(200)]
    close, last = [], 0.0
    for value in apart:
        last = 0.8 * last + value
        close.append(last)
    assert effective(apart) > 120
    assert effective(close) < 40  # 200 · 0.2 / 1.8 = 22
    assert effective([1.0, 1.0, 1.0]) == 3


def session(seed: int, factor: float = 1.0, *, launches: int = 1, repeats: int = 6) -> list[list[float]]:
    """A session of a machine whose launches spread by 1.5 % and whose repeats by 3 %."""
    drawn = random.Random(seed)
    made = []
    for _ in range(launches):
        own = math.log(20 * factor) + drawn.gauss(0, 0.015)
        made.append([own + drawn.gauss(0, 0.03) for _ in range(repeats)])
    return made


@pytest.mark.parametrize("launches", [1, ENOUGH_LAUNCHES, 5])
def test_the_same_speed_is_called_different_in_at_most_one_of_twenty(launches: int) -> None:
    wrong = 0
    for seed in range(200):
        pair = (session(2 * seed, launches=launches), session(2 * seed + 1, launches=launches))
        effect = contrast([pair], 0.99, metric="decode", point="p", more_is_better=True)
        assert effect.low < effect.ratio < effect.high
        wrong += effect.verdict != "no difference shown"
    assert wrong <= 10


@pytest.mark.parametrize("launches", [1, 5])
def test_a_device_that_costs_a_fifth_of_the_speed_is_seen(launches: int) -> None:
    found = []
    for seed in range(200):
        pair = (session(2 * seed, launches=launches), session(2 * seed + 1, 0.8, launches=launches))
        found.append(contrast([pair], 0.99, metric="decode", point="p", more_is_better=True).verdict)
    assert found.count("slower") >= 190
    assert "faster" not in found


def test_less_is_better_for_what_takes_time() -> None:
    pair = (session(1), session(2, 1.5))
    effect = contrast([pair], 0.99, metric="TTFT", point="p", more_is_better=False)
    assert effect.verdict == "slower"


def test_more_points_make_the_verdict_surer_but_not_beyond_what_launches_share() -> None:
    def half(count: int) -> float:
        pairs = [(session(9 * i), session(9 * i + 5)) for i in range(count)]
        effect = contrast(pairs, 0.99, metric="decode", point="all", more_is_better=True)
        return math.log(effect.high / effect.low) / 2

    assert half(9) < half(1)
    assert half(9) > 2.58 * 0.02
