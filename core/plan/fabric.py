"""How devices are connected, and which of them can form a tensor group."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from core.plan.problem import Problem
from core.plan.shares import indivisible

Floats = NDArray[np.float64]

MESH_ONE_PHASE = 32 * 1024
"""Bytes up to which JACCL's mesh all-reduce is a single exchange (mesh.cpp)."""


class Fabric:
    """The links of a problem as matrices over devices: latency, bandwidth and RDMA, `[from, to]`."""

    def __init__(self, problem: Problem) -> None:
        index = {device.id: i for i, device in enumerate(problem.devices)}
        n = len(index)
        self.latency: Floats = np.full((n, n), np.inf)
        self.bandwidth: Floats = np.ones((n, n))
        self.rdma: NDArray[np.bool_] = np.zeros((n, n), dtype=bool)
        for link in problem.links:
            a, b = index[link.a], index[link.b]
            for i, j in ((a, b),) if link.directed else ((a, b), (b, a)):
                if link.lat < self.latency[i, j]:
                    self.latency[i, j], self.bandwidth[i, j] = link.lat, link.bw
                    self.rdma[i, j] = link.rdma

    def send(self, size: float) -> Floats:
        """Seconds to bring `size` bytes from each device to each; infinite without a link."""
        return self.latency + size / self.bandwidth

    def all_reduce(self, members: Sequence[int], size: float, fan: float) -> float:
        """Seconds of one all-reduce of `size` bytes."""
        t = len(members)
        pairs = np.ix_(members, members)
        apart = ~np.eye(t, dtype=bool)
        latency = float(self.latency[pairs][apart].max())
        bandwidth = float(self.bandwidth[pairs][apart].min())
        if bool(self.rdma[pairs][apart].all()):
            once = size / bandwidth if t == 2 or size <= MESH_ONE_PHASE else 2 * size / (t * bandwidth)
            return latency * (1 + fan * (t - 2)) + once
        return 2 * (t - 1) * (latency + size / (t * bandwidth))


def tensor_refusal(problem: Problem, fabric: Fabric, members: Sequence[int]) -> str:
    """Why these devices cannot form a tensor group; empty when they can."""
    model, t = problem.model, len(members)
    names = ", ".join(problem.devices[i].id for i in members)
    if refusal := indivisible(model.n_heads, model.n_kv_heads if model.kv_shardable else 0, model.hidden, t):
        return refusal
    pairs = np.ix_(members, members)
    apart = ~np.eye(t, dtype=bool)
    if not np.isfinite(fabric.latency[pairs][apart]).all():
        return f"not every pair of {names} is linked"
    if problem.caps.tp_needs_rdma and not fabric.rdma[pairs][apart].all():
        return f"not every pair of {names} has RDMA"
    return ""


def legal_groups(problem: Problem, fabric: Fabric) -> list[tuple[int, ...]]:
    """Every device alone, then every legal tensor group the capabilities allow."""
    n = len(problem.devices)
    found: list[tuple[int, ...]] = [(i,) for i in range(n)]
    if not problem.caps.tensor:
        return found
    for t in sorted(set(problem.caps.tp_sizes)):
        if t <= n:
            found += [m for m in combinations(range(n), t) if not tensor_refusal(problem, fabric, m)]
    return found
