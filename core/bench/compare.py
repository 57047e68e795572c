"""Is one faster than the other? Pure: from trials to an effect with an interval, and a verdict.

Repeats within a launch resemble one another more than they resemble those of the next launch: memory lies
elsewhere, caches and clocks are in another state. An interval over repeats alone is therefore too narrow. So

- with three launches a side or more, the unit is the launch: Welch's interval over the launches' means;
- with fewer, it is the repeat, of which autocorrelated ones count for less (`stats.effective`), and
  `LAUNCH_SD` is added for what another launch would have changed.

Everything is computed on logarithms: effects are ratios, and their errors are alike at any speed. Intervals
are 99 %; those of single points are widened so that all of one metric hold together (Bonferroni, Dunn 1961).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from core.bench import lint
from core.bench.card import Card
from core.bench.differences import Difference, differences
from core.bench.lint import Finding
from core.bench.metrics import METRICS, Metric, Trial, telling
from core.bench.stats import effective, mean, t_quantile, variance
from core.bench.suite import Point
from core.bench.table import ENOUGH_LAUNCHES

CONFIDENCE = 0.99
LAUNCH_SD = 0.04
"""Spread of the means of launches of one plan, as a share, assumed where it was not measured: a prior, which
three launches replace. `python -m tests.bench.believed` prints what it is on a machine: 2.5 to 4.6 % in four
batches of steady sessions on a virtual machine of two cores."""
WIDEST = math.log(1000)
"""Two repeats may bound a factor by a thousand or a million: neither says anything."""

Verdict = Literal["faster", "slower", "no difference shown", "not comparable"]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two: a recording's trials, all of them or one plan's."""

    name: str
    card: Card
    trials: tuple[Trial, ...]


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """The second side's figure over the first's, with its interval."""

    metric: str
    point: str
    first: float
    second: float
    ratio: float
    low: float
    high: float
    confidence: float
    unit: Literal["launches", "repeats"]
    verdict: Verdict
    """Of the second side."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Second against first: what differs, whether that may be compared, and the effects."""

    first: str
    second: str
    verdict: Verdict
    differences: tuple[Difference, ...]
    findings: tuple[Finding, ...]
    overall: Effect | None
    """Over all shared points, of what each is about; the verdict is its."""
    effects: tuple[Effect, ...]


Groups = Sequence[Sequence[float]]
"""Logarithms of a figure's values, by launch."""


def compare(first: Side, second: Side) -> Comparison:
    """The second side against the first."""
    points = _points(first, second)
    effects = [
        effect
        for metric in METRICS
        for point, (a, b) in points.items()
        if (effect := _effect(metric, point, a, b, len(points))) is not None
    ]
    overall = _overall(points)
    findings = [
        *lint.between(first.card, second.card),
        *(
            Finding("not comparable", f"{side.name}: {finding.text}")
            for side in (first, second)
            for finding in lint.doubts(side.card)
            if finding.weight == "not comparable"
        ),
    ]
    findings += _texts(first, second)
    findings += [
        Finding(finding.weight, f"{side.name}: {finding.text}")
        for side in (first, second)
        for finding in lint.unsteady(side.trials)
    ]
    if overall is None and not any(finding.weight == "not comparable" for finding in findings):
        findings.append(Finding("not comparable", "no point was measured more than once on both sides"))
    forbidden = any(finding.weight == "not comparable" for finding in findings)
    return Comparison(
        first=first.name,
        second=second.name,
        verdict="not comparable" if forbidden or overall is None else overall.verdict,
        differences=tuple(differences(first.card, second.card)),
        findings=tuple(findings),
        overall=overall,
        effects=tuple(effects),
    )


def disagreeing(first: Sequence[Trial], second: Sequence[Trial]) -> tuple[int, int]:
    """Of how many runs that both sides have, with the same prompt and one request at a time, the tokens
    differ; and how many there are."""
    ours = {_run(trial): trial.answers[0].ids_sha256 for trial in first if len(trial.answers) == 1}
    theirs = {_run(trial): trial.answers[0].ids_sha256 for trial in second if len(trial.answers) == 1}
    shared = ours.keys() & theirs.keys()
    return sum(ours[run] != theirs[run] for run in shared), len(shared)


def _run(trial: Trial) -> tuple[Point | None, int, int]:
    return trial.point, trial.launch, trial.repeat


def _texts(first: Side, second: Side) -> list[Finding]:
    """Greedy answers to the same prompts have to be the same, on whatever plan."""
    same = first.card.suite_sha256 == second.card.suite_sha256
    sampling = first.card.sampling
    if not same or sampling is None or sampling.temperature:
        return []
    differ, count = disagreeing(first.trials, second.trials)
    if not differ:
        return []
    return [Finding("with care", f"the greedy answers differ in {differ} of {count} runs")]


Pairs = Mapping[Point | None, tuple[list[Trial], list[Trial]]]


def _points(first: Side, second: Side) -> Pairs:
    """The trials of each point that both sides have, in the first one's order."""
    sides: list[dict[Point | None, list[Trial]]] = [{}, {}]
    for side, found in zip((first, second), sides, strict=True):
        for trial in side.trials:
            if not trial.warmup and not trial.error:
                found.setdefault(trial.point, []).append(trial)
    return {point: (own, sides[1][point]) for point, own in sides[0].items() if point in sides[1]}


def groups(metric: Metric, trials: Sequence[Trial]) -> Groups:
    """The logarithms of a figure of these trials, by launch."""
    found: dict[int, list[float]] = {}
    for trial in trials:
        value = metric.of(trial)
        if value is not None and value > 0:
            found.setdefault(trial.launch, []).append(math.log(value))
    return [found[launch] for launch in sorted(found)]


def _repeated(side: Groups) -> bool:
    """Whether anything can be said of how the values spread."""
    return any(len(launch) > 1 for launch in side) or len(side) >= ENOUGH_LAUNCHES


def _effect(metric: Metric, point: Point | None, a: list[Trial], b: list[Trial], count: int) -> Effect | None:
    pair = groups(metric, a), groups(metric, b)
    if not all(map(_repeated, pair)):
        return None
    return contrast(
        [pair],
        1 - (1 - CONFIDENCE) / count,
        metric=metric.title,
        point=point.label if point else "requests",
        more_is_better=metric.more_is_better,
    )


def _overall(points: Pairs) -> Effect | None:
    pairs: list[tuple[Groups, Groups]] = []
    titles: list[str] = []
    for point, (a, b) in points.items():
        metric = telling(point)
        pair = groups(metric, a), groups(metric, b)
        if all(map(_repeated, pair)):
            pairs.append(pair)
            titles.append(metric.title)
    if not pairs:
        return None
    names = " and ".join(dict.fromkeys(titles))
    return contrast(pairs, CONFIDENCE, metric=names, point="all points", more_is_better=True)


def contrast(
    pairs: Sequence[tuple[Groups, Groups]],
    confidence: float,
    *,
    metric: str,
    point: str,
    more_is_better: bool,
) -> Effect:
    """The mean effect over points, each a pair of logarithms by launch."""
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    centres = [mean([mean([mean(launch) for launch in point]) for point in side]) for side in sides]
    enough = all(len(point) >= ENOUGH_LAUNCHES for side in sides for point in side)
    errors = [_over_launches(side) if enough else _over_repeats(side) for side in sides]
    squared = sum(error for error, _ in errors)
    freedom = _freedom(errors)
    delta = centres[1] - centres[0]
    # What one launch adds is taken as known: it costs no degree of freedom.
    known = 0.0 if enough else sum(LAUNCH_SD**2 / min(map(len, side)) for side in sides)
    half = t_quantile(confidence, freedom) * math.sqrt(squared)
    half = min(WIDEST, math.hypot(half, t_quantile(confidence, 10**3) * math.sqrt(known)))
    verdict: Verdict = "no difference shown"
    if abs(delta) > half:
        verdict = "faster" if (delta > 0) == more_is_better else "slower"
    return Effect(
        metric=metric,
        point=point,
        first=math.exp(centres[0]),
        second=math.exp(centres[1]),
        ratio=math.exp(delta),
        low=math.exp(delta - half),
        high=math.exp(delta + half),
        confidence=confidence,
        unit="launches" if enough else "repeats",
        verdict=verdict,
    )


Error = tuple[float, float]
"""Variance of a mean, and the degrees of freedom it was estimated with."""


def _over_launches(side: Sequence[Groups]) -> Error:
    count = min(map(len, side))
    means = [mean([mean(point[launch]) for point in side]) for launch in range(count)]
    return variance(means) / count, count - 1


def _over_repeats(side: Sequence[Groups]) -> Error:
    """Points and launches are independent here; what launches share is `LAUNCH_SD`."""
    squared, below = 0.0, 0.0
    for point in side:
        told = [launch for launch in point if len(launch) > 1]
        # A launch with a single repeat spreads as the others do.
        assumed = max(map(variance, told), default=0.0)
        for launch in point:
            spread = variance(launch) if len(launch) > 1 else assumed
            own = spread / effective(launch) / (len(side) * len(point)) ** 2
            squared += own
            below += own**2 / max(1, len(launch) - 1)
    return squared, squared**2 / below if below else 1.0


def _freedom(errors: Sequence[Error]) -> int:
    """Welch's and Satterthwaite's degrees of freedom, rounded down."""
    total = sum(error for error, _ in errors)
    below = sum(error**2 / freedom for error, freedom in errors)
    return max(1, min(1000, math.floor(total**2 / below))) if below else 1
