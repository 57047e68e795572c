"""Among plans about as fast as the fastest, the one a person would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.plan.cost import Costs, works
from core.plan.problem import Problem, Span
from core.plan.ranges import Limits, cut
from core.plan.search import single
from core.plan.shares import proportional
from core.plan.solve import IMPROVEMENT, NoPlan, Solver

TIE = 0.02
"""Plans within this share of the fastest count as equal: the model is not more exact than that."""
SPREAD_COST = 0.7
"""A rehearsal uses every device that leaves at least this share of the best speed."""
ROOM_STEP = 2**25
"""Bytes to which the memory left is evened out."""


@dataclass(frozen=True)
class Choice:
    """A chosen plan, and how far it can be from the fastest there is, as a share of its time."""

    spans: tuple[Span, ...]
    gap: float


def choose(problem: Problem) -> Choice:
    """The plan to offer: of those within `TIE` of the fastest, without stages of a single layer where that
    is possible, with the fewest stages, in the order of `problem.devices` where order does not matter, and
    with the most memory left on the fullest device. Raises NoPlan."""
    ((_, work),) = works(problem)
    solver = Solver(problem, Costs(problem, work))
    costs, found = solver.least_total()
    if not found.sequence:
        raise NoPlan("no split over these devices fits their memory and links")
    slack = found.total * (1 + TIE)
    sequence, least = found.sequence, 1
    if len(sequence) > 1:
        total, alone = single(Limits(solver.whole))
        if total <= slack:
            costs, sequence = solver.whole, alone
        else:
            for least in (2, 1):
                ways = solver.by_length(slack * (1 + IMPROVEMENT), len(sequence), "shortest", least=least)
                if ways:
                    sequence = ways[min(ways)][1]
                    break
    sequence = _listed(Limits(costs, least=least), sequence, slack)
    cuts = _roomiest(costs, sequence, least, slack)
    gap = 1 - found.bound / costs.total(sequence, cuts)
    return Choice(costs.spans(sequence, cuts), gap if gap > 1e-7 else 0.0)


def spread(problem: Problem, shares: Sequence[float]) -> tuple[Span, ...]:
    """The plan over as many devices as leave `SPREAD_COST` of the best speed, layers in proportion to
    `shares` (one a device, in order) where that fits and leaves as much. Raises NoPlan."""
    ((_, work),) = works(problem)
    solver = Solver(problem, Costs(problem, work))
    costs, found = solver.least_total()
    if not found.sequence:
        raise NoPlan("no split over these devices fits their memory and links")
    limit = found.total / SPREAD_COST
    ways = solver.by_length(limit, len(problem.devices), "every")
    sequence = ways[max(ways)][1] if ways else found.sequence
    sequence = _listed(Limits(costs), sequence, limit)
    cuts = [0, *np.cumsum(proportional([shares[g] for g in sequence], costs.depth)).tolist()]
    if not costs.fits(sequence, cuts) or costs.total(sequence, cuts) > limit:
        cuts = _roomiest(costs, sequence, 1, limit)
    return costs.spans(sequence, cuts)


def _listed(limits: Limits, sequence: tuple[int, ...], slack: float) -> tuple[int, ...]:
    """The groups in the order they are listed, if that is within the slack."""
    listed = tuple(sorted(sequence))
    cuts = cut(limits, listed)
    if cuts is not None and limits.costs.total(listed, cuts) <= slack:
        return listed
    return sequence


def _roomiest(costs: Costs, sequence: tuple[int, ...], least: int, slack: float) -> list[int]:
    """The cuts within the slack that leave the most memory on the fullest device."""
    best = cut(Limits(costs, least=least), sequence)
    assert best is not None
    low, high = 0.0, float(costs.room[list(sequence)].min())
    for _ in range(30):
        if len(sequence) == 1 or high - low < ROOM_STEP:
            break
        spare = (low + high) / 2
        cuts = cut(Limits(costs, least=least, spare=spare), sequence)
        if cuts is not None and costs.total(sequence, cuts) <= slack:
            best, low = cuts, spare
        else:
            high = spare
    return best
