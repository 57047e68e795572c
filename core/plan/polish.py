"""Local search: better orders of devices near a good one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from core.plan.ranges import Limits, evaluate

MOST_ROUNDS = 12
REACH = 8
"""Places within which a stage is moved, swapped or turned round."""


def neighbours(limits: Limits, sequence: tuple[int, ...], *, lengths: range) -> Iterator[tuple[int, ...]]:
    """Orders one change away: a group put in, taken out, replaced, moved, two swapped, a part reversed."""
    bits = limits.costs.bits
    used = int(np.bitwise_or.reduce(bits[list(sequence)]))
    n = len(sequence)
    for i in range(n):
        rest = sequence[:i] + sequence[i + 1 :]
        free = used & ~int(bits[sequence[i]])
        if rest and len(rest) in lengths:
            yield rest
        for g in range(len(bits)):
            if g != sequence[i] and not int(bits[g]) & free:
                yield (*sequence[:i], g, *sequence[i + 1 :])
        for j in range(max(0, i - REACH), min(n, i + REACH + 1)):
            if j not in (i, i - 1):
                yield (*rest[:j], sequence[i], *rest[j:])
    if n + 1 in lengths:
        for g in range(len(bits)):
            if not int(bits[g]) & used:
                for i in range(n + 1):
                    yield (*sequence[:i], g, *sequence[i:])
    for i, j in combinations(range(n), 2):
        if j - i > REACH:
            continue
        swapped = list(sequence)
        swapped[i], swapped[j] = swapped[j], swapped[i]
        yield tuple(swapped)
        if j - i > 1:
            yield (*sequence[:i], *reversed(sequence[i : j + 1]), *sequence[j + 1 :])


def polish(
    limits: Limits, sequence: tuple[int, ...], total: float, *, lengths: range
) -> tuple[float, tuple[int, ...]]:
    """Go to the best neighbour until none is better."""
    for _ in range(MOST_ROUNDS):
        by_length: dict[int, list[tuple[int, ...]]] = {}
        for near in neighbours(limits, sequence, lengths=lengths):
            by_length.setdefault(len(near), []).append(near)
        better = False
        for group in by_length.values():
            totals = evaluate(limits, group)
            best = int(np.argmin(totals))
            if totals[best] < total * (1 - 1e-9):
                total, sequence, better = float(totals[best]), group[best], True
        if not better:
            break
    return total, sequence
