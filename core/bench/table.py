"""Trials as rows: one a plan and point, with an interval for every figure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.bench.metrics import METRICS, Metric, Share, Trial, goodput, telling, values
from core.bench.stats import Estimate, interval, mean
from core.bench.suite import Goal, Point, Repeats

ENOUGH_LAUNCHES = 3
"""From so many on an interval is over launches, which is what a reader wants to know: how would it be if this
were launched again? With fewer it is over repeats, and says only how they differ within a launch."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of one point on one plan."""

    plan: str
    split: str
    point: Point | None
    trials: tuple[Trial, ...]
    launches: int
    figures: dict[str, Estimate]
    """By key of the metric."""
    peak: int
    """Bytes MLX held at most on the fullest rank."""

    @property
    def label(self) -> str:
        """What was asked."""
        return self.point.label if self.point else "requests"


def rows(trials: Sequence[Trial], goal: Goal | None = None) -> list[Row]:
    """One row a plan and point, in order of appearance; warm-ups and failed trials are left out."""
    groups: dict[tuple[str, Point | None], list[Trial]] = {}
    for trial in trials:
        if not trial.warmup and not trial.error:
            groups.setdefault((trial.plan, trial.point), []).append(trial)
    return [_row(own, goal) for own in groups.values()]


def _row(trials: list[Trial], goal: Goal | None) -> Row:
    first = trials[0]
    metrics = (*METRICS, goodput(goal)) if goal else METRICS
    figures = {metric.key: found for metric in metrics if (found := estimate(metric, trials))}
    return Row(
        plan=first.plan,
        split=first.split,
        point=first.point,
        trials=tuple(trials),
        launches=len({trial.launch for trial in trials}),
        figures=figures,
        peak=max((rank.peak for trial in trials for rank in trial.ranks), default=0),
    )


def launches(metric: Metric, trials: Sequence[Trial]) -> list[float]:
    """The mean of each launch."""
    found: dict[int, list[float]] = {}
    for trial in trials:
        if (value := metric.of(trial)) is not None:
            found.setdefault(trial.launch, []).append(value)
    return [mean(own) for own in found.values()]


def estimate(metric: Metric, trials: Sequence[Trial]) -> Estimate | None:
    """Mean with a 95 % interval: over launches where there are enough, else over repeats."""
    means = launches(metric, trials)
    if len(means) >= ENOUGH_LAUNCHES:
        return interval(means)
    found = values(metric, trials)
    return interval(found) if found else None


def enough(trials: Sequence[Trial], point: Point, repeats: Repeats, tries: int) -> bool:
    """Whether this point, tried so often, needs no more repeats in this launch."""
    if tries < repeats.least:
        return False
    if tries >= repeats.most and not trials:
        return True
    if sum(trial.seconds for trial in trials) < repeats.seconds:
        return False
    found = values(telling(point), trials)
    relative = interval(found).relative if found else None
    return tries >= repeats.most or (relative is not None and relative < repeats.precision)


class Spent(msgspec.Struct, frozen=True):
    """Where one rank's time went, in shares of the wall time, and the most bytes MLX held there."""

    device: str
    compute_share: float
    wait_share: float
    transfer_share: float
    """Handing over to a neighbour."""
    peak: int


def shares(trials: Sequence[Trial]) -> list[Spent]:
    """What each rank spent in the trials it tells of, in the order of the ranks."""
    found: dict[tuple[int, str], list[tuple[float, Share]]] = {}
    for trial in trials:
        for rank in trial.ranks:
            found.setdefault((rank.rank, rank.device), []).append((trial.seconds, rank))
    return [
        _spent(device, sum(seconds for seconds, _ in told), [rank for _, rank in told])
        for (_, device), told in sorted(found.items(), key=lambda item: item[0])
        if any(seconds > 0 for seconds, _ in told)
    ]


def _spent(device: str, seconds: float, told: Sequence[Share]) -> Spent:
    return Spent(
        device=device,
        compute_share=sum(rank.compute_s for rank in told) / seconds,
        wait_share=sum(rank.wait_s for rank in told) / seconds,
        transfer_share=sum(rank.send_s for rank in told) / seconds,
        peak=max(rank.peak for rank in told),
    )
