"""How far a suite is: part of the cluster's state, folded from events."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from core import events as ev
from core.bench.metrics import Trial
from core.bench.suite import Suite


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A suite under way, or one that has ended."""

    suite: Suite
    started: float
    trials: tuple[Trial, ...] = ()
    """Complete ones, warm-ups included, oldest first."""
    now: ev.TrialStarted | None = None
    """The trial being measured."""
    paused: bool = False
    failed: int = 0
    """Trials that ended with an error."""
    done: ev.BenchDone | None = None

    @property
    def live(self) -> bool:
        """More is to come."""
        return self.done is None


BenchEvent = ev.BenchStarted | ev.TrialStarted | ev.TrialDone | ev.BenchPaused | ev.BenchDone


def turn(suite: Suite, trial: ev.TrialStarted) -> str:
    """Which repeat a trial is, of how many."""
    if trial.warmup:
        return "warm-up"
    least, most = suite.repeats.least, suite.repeats.most
    at = f"run {trial.repeat + 1}"
    return f"{at} of {least} to {most}" if trial.repeat < most else f"{at}, until it took long enough"


def advance(progress: Progress | None, event: BenchEvent) -> Progress | None:
    """The progress after one more event."""
    if isinstance(event, ev.BenchStarted):
        return Progress(suite=event.suite, started=event.t)
    if progress is None:
        return None
    match event:
        case ev.TrialStarted():
            return replace(progress, now=event)
        case ev.TrialDone():
            if event.trial is None:
                return replace(progress, now=None, failed=progress.failed + 1)
            return replace(progress, now=None, trials=(*progress.trials, event.trial))
        case ev.BenchPaused():
            return replace(progress, paused=event.paused)
        case ev.BenchDone():
            return replace(progress, now=None, done=event)
