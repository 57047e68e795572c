"""A model among those of this computer, and what is known of its place in the cluster."""

from __future__ import annotations

import msgspec

from core.models.spec import ModelSpec

DEMO = "demo"
"""Stands for the path of the demo model while that is not made yet."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A directory with a model, or with what calls itself one."""

    path: str
    name: str
    spec: ModelSpec | None = None
    problem: str = ""
    """Why it cannot be used; without a spec only."""


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether there is room for a model at a context."""

    context: int
    alone: tuple[str, ...] = ()
    """Devices that have room for all of it."""
    together: tuple[str, ...] = ()
    """Devices of the plan, where none has."""
    reason: str = ""
    """Why it does not fit at all, and what would help."""
    decode_tps: float | None = None
    """What the plan is predicted to do."""
