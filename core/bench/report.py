"""One recording's results with everything that belongs to them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.bench import lint, provenance
from core.bench.card import Card
from core.bench.collect import collect
from core.bench.compare import Comparison, Side, compare
from core.bench.lint import Finding
from core.bench.metrics import METRICS, Metric, Trial, goodput
from core.bench.stats import Estimate
from core.bench.suite import Goal
from core.bench.table import Row, rows
from core.events import BenchStarted
from core.session.format import Recording


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording says: rows, where they come from, and what speaks against them."""

    name: str
    card: Card
    trials: tuple[Trial, ...]
    rows: tuple[Row, ...]
    metrics: tuple[Metric, ...]
    findings: tuple[Finding, ...]
    comparisons: tuple[Comparison, ...]
    """Every other plan of the recording against its first."""


def report(recording: Recording, name: str) -> Report:
    """The report of a recording, of its last suite where it holds any."""
    trials, goal = measured(recording)
    card = provenance.card(recording)
    sides = [Side(name=plan, card=card.of(plan), trials=own) for plan, own in by_plan(trials).items()]
    return Report(
        name=name,
        card=card,
        trials=trials,
        rows=tuple(rows(trials, goal)),
        metrics=(*METRICS, goodput(goal)) if goal else METRICS,
        findings=(*lint.doubts(card), *lint.unsteady(trials)),
        comparisons=tuple(compare(sides[0], other) for other in sides[1:]),
    )


def measured(recording: Recording) -> tuple[tuple[Trial, ...], Goal | None]:
    """The trials of the last suite and its goal; without a suite, each request as a trial of its own."""
    begun = next((event for event in reversed(recording.events) if isinstance(event, BenchStarted)), None)
    trials = collect(recording.events, recording.header.state.run).trials
    if begun is None:
        return tuple(trials), None
    return tuple(trial for trial in trials if trial.point), begun.suite.goal


def by_plan(trials: Sequence[Trial]) -> dict[str, tuple[Trial, ...]]:
    """The trials of each plan, in order of appearance."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.plan, []).append(trial)
    return {plan: tuple(own) for plan, own in found.items()}


def compared(reports: Sequence[Report]) -> list[Comparison]:
    """Every other report against the first; of a single one, its plans against its first plan."""
    if len(reports) == 1:
        return list(reports[0].comparisons)
    return [one for other in reports[1:] for one in _against(reports[0], other)]


def _against(first: Report, second: Report) -> list[Comparison]:
    """Plan by plan where both have plans of the same names; else what each has, as it is."""
    ours, theirs = by_plan(first.trials), by_plan(second.trials)
    shared = [plan for plan in ours if plan in theirs]
    if len(ours) == len(theirs) == 1 or not shared:
        shared = []
    if not shared:
        return [compare(_side(first), _side(second))]
    return [
        compare(
            Side(name=f"{first.name} {plan}", card=first.card.of(plan), trials=ours[plan]),
            Side(name=f"{second.name} {plan}", card=second.card.of(plan), trials=theirs[plan]),
        )
        for plan in shared
    ]


def _side(report: Report) -> Side:
    return Side(name=report.name, card=report.card, trials=report.trials)


def figure(estimate: Estimate | None, digits: int) -> str:
    """`14.2 ± 0.3`; a single value stands alone."""
    if estimate is None:
        return "—"
    text = f"{estimate.mean:.{digits}f}"
    return text if estimate.half is None else f"{text} ± {estimate.half:.{digits}f}"
