"""The moments of a recording somebody will look for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from core import events as ev

MarkKind = Literal["plan", "launch", "request", "bench", "fault", "alert"]


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A moment: the state after the first `position` events, `elapsed` seconds from the start."""

    position: int
    elapsed: float
    kind: MarkKind
    text: str


def marks(events: Iterable[ev.AnyEvent], started: float) -> tuple[Mark, ...]:
    """The marks of some events, in order. What happens at one time counts once, as the first of it."""
    found: list[Mark] = []
    latest = started
    for position, event in enumerate(events, 1):
        latest = max(latest, event.t)
        told = _told(event)
        if told is None:
            continue
        kind, text = told
        elapsed = latest - started
        if found and found[-1].kind == kind and elapsed - found[-1].elapsed < 0.05:
            continue
        found.append(Mark(position=position, elapsed=elapsed, kind=kind, text=text))
    return tuple(found)


def _told(event: ev.AnyEvent) -> tuple[MarkKind, str] | None:
    match event:
        case ev.PlanChosen():
            return "plan", f"plan {'/'.join(map(str, event.plan.split))}"
        case ev.PlanTaken() if event.plan.forecast is None:
            return "plan", f"plan by hand {'/'.join(map(str, event.plan.split))}"
        case ev.RunStarted():
            return "launch", f"launch {'/'.join(map(str, event.plan.split))}"
        case ev.RunReady():
            return "launch", f"ready after {event.seconds:.1f} s"
        case ev.RunStopped():
            return "launch", f"run ended: {event.reason}" if event.reason else "run ended"
        case ev.RequestStarted() if event.source != "bench":
            return "request", f"prompt: {event.prompt}"
        case ev.BenchStarted():
            return "bench", f"suite {event.suite.name}"
        case ev.TrialStarted():
            turn = "warm-up" if event.warmup else f"run {event.repeat + 1}"
            return "bench", f"{event.plan}, {event.point.label}, {turn}"
        case ev.FaultInjected():
            return "fault", f"fault: {event.kind} {event.target}"
        case ev.Alert() if event.level != "info":
            return "alert", f"{event.subject}: {event.text}"
        case ev.RankExited() if event.signal or event.code:
            return "alert", f"rank {event.rank} ended"
        case _:
            return None
