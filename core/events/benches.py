"""Suites as they are measured."""

from __future__ import annotations

from typing import Literal

from core.bench.metrics import Trial
from core.bench.suite import Point, Suite
from core.events.base import Event


class BenchStarted(Event, frozen=True, kw_only=True):
    """A suite is being measured from here to `BenchDone`."""

    suite: Suite
    sha256: str
    """Of the suite, over all that is measured."""
    model_sha256: str = ""
    """Fingerprint of the model's files: see core.models.fingerprint."""


class TrialStarted(Event, frozen=True, kw_only=True):
    """Requests from here to `TrialDone` are one repeat of a point; `plan` is a name of the suite's."""

    plan: str
    launch: int
    point: Point
    repeat: int
    warmup: bool = False


class TrialDone(Event, frozen=True, kw_only=True):
    """The trial is complete, or failed with an `error`."""

    trial: Trial | None = None
    """As measured live; a recording's reader makes it again from the tokens' own events."""
    error: str = ""


class BenchPaused(Event, frozen=True, kw_only=True):
    """The next trial waits, or does so no longer."""

    paused: bool


class BenchDone(Event, frozen=True, kw_only=True):
    """No more is measured: the suite is through, or was ended, and what is there stays."""

    why: Literal["done", "abort", "error"]
    detail: str = ""


BenchEvent = BenchStarted | TrialStarted | TrialDone | BenchPaused | BenchDone
