"""Is a plan legal, and do the ranks hold what it says?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from core.plan.plan import Plan, PlanError


class Held(msgspec.Struct, frozen=True):
    """What one rank says it loaded."""

    rank: int
    device: str
    start: int
    end: int
    digest: str


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that every layer is held exactly once: hashes of the plan and of the ranks' own reports."""

    layers: int
    held: tuple[Held, ...]
    plan_sha256: str
    held_sha256: str


def _sha256(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()


def check_cover(ranges: Sequence[tuple[int, int]], layers: int) -> None:
    """Raise PlanError unless the ranges, in order, cover `[0, layers)`: no gap, overlap or empty range."""
    expected = 0
    for rank, (start, end) in enumerate(ranges):
        if start != expected:
            word = "held twice" if start < expected else "held by nobody"
            low, high = sorted((start, expected))
            raise PlanError(f"layers {low} to {high - 1} are {word} (rank {rank} starts at {start})")
        if end <= start:
            raise PlanError(f"rank {rank} holds no layer; every rank needs at least one")
        expected = end
    if expected != layers:
        what = "are held by nobody" if expected < layers else "do not exist"
        low, high = sorted((expected, layers))
        raise PlanError(f"layers {low} to {high - 1} {what}; the model has {layers}")


def certify(plan: Plan, held: Sequence[Held]) -> Certificate:
    """The certificate of a loaded plan.

    Raises PlanError when a rank is missing, holds other layers than planned, or a layer is not held
    exactly once.
    """
    by_rank = {report.rank: report for report in held}
    for rank, stage in enumerate(plan.stages):
        report = by_rank.get(rank)
        if report is None:
            raise PlanError(f"rank {rank} on {stage.device} has not said what it holds")
        if (report.start, report.end) != (stage.start, stage.end):
            raise PlanError(
                f"rank {rank} on {stage.device} holds layers {report.start} to {report.end - 1}, "
                f"planned were {stage.start} to {stage.end - 1}"
            )
    ordered = tuple(by_rank[rank] for rank in range(len(plan.stages)))
    check_cover([(report.start, report.end) for report in ordered], plan.layers)
    return Certificate(
        layers=plan.layers, held=ordered, plan_sha256=_sha256(plan.stages), held_sha256=_sha256(ordered)
    )
