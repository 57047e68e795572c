"""What carries a plan's data between its ranks, and why that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from core.plan.plan import Backend, PlanError, Stage

Asked = Literal["auto", "sockets", "ring"]


class Carrier(NamedTuple):
    """A backend, and a sentence for the plan card."""

    backend: Backend
    why: str


def choose(stages: Sequence[Stage], asked: Asked = "auto") -> Carrier:
    """The backend for a plan's stages. Raises PlanError where the one asked for cannot carry them."""
    shared = any(stage.members for stage in stages)
    if shared and asked == "sockets":
        raise PlanError("a tensor group meets in MLX's ring; sockets only join the stages of a pipeline")
    if asked == "ring":
        return Carrier("ring", "MLX's ring, as asked")
    if asked == "sockets":
        return Carrier("sockets", "sockets, as asked")
    if shared:
        return Carrier("ring", "MLX's ring within each tensor group, sockets from stage to stage")
    return Carrier("sockets", "sockets between stages: a waiting rank sleeps, where MLX's ring spins a core")


def refit(backend: Backend, stages: Sequence[Stage]) -> Backend:
    """The backend of a plan whose stages were changed: the same where it can carry these too."""
    if backend == "sockets" and any(stage.members for stage in stages):
        return choose(stages).backend
    return backend
