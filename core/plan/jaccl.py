"""What MLX's RDMA backend needs to know of a group's cables: a pure function of them, untested on hardware.

Row i, column j of MLX_IBV_DEVICES names the RDMA device on rank i whose cable leads to rank j. Every pair
joined makes a mesh; each rank joined to the next, and the last to the first, a ring, which may use several
cables side by side (mlx/python/mlx/_distributed_utils, JACCL).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from core.plan.plan import Wire

Form = Literal["jaccl", "jaccl-ring"]
Table = list[list[str | list[str] | None]]
_Lanes = list[list[tuple[str, ...]]]


def lanes(names: Sequence[str], wires: Sequence[Wire]) -> _Lanes:
    """Row i, column j: the RDMA devices on `names[i]` with a cable to `names[j]`, alike in order."""
    found: _Lanes = [[() for _ in names] for _ in names]
    at = {name: i for i, name in enumerate(names)}
    for wire in wires:
        if wire.a in at and wire.b in at:
            i, j = at[wire.a], at[wire.b]
            # On paper nobody knows the names.
            ends = wire.rdma or ((("?", "?"),) if wire.kind == "rdma" else ())
            found[i][j] += tuple(a for a, _ in ends)
            found[j][i] += tuple(b for _, b in ends)
    return found


def form(between: _Lanes) -> Form | None:
    """What the cables allow; None where they join the ranks neither as a mesh nor, in order, as a ring."""
    size = len(between)
    if all(between[i][j] for i in range(size) for j in range(size) if i != j):
        return "jaccl"
    return "jaccl-ring" if all(between[i][(i + 1) % size] for i in range(size)) else None


def table(between: _Lanes, shape: Form) -> Table:
    """The document that MLX_IBV_DEVICES names."""
    size = len(between)
    if shape == "jaccl":
        return [[cell[0] if cell else None for cell in row] for row in between]
    most = min(len(between[i][(i + 1) % size]) for i in range(size))

    def cell(i: int, j: int) -> str | list[str] | None:
        if j not in ((i + 1) % size, (i - 1) % size):
            return None
        side_by_side = list(between[i][j][:most])
        return side_by_side if most > 1 else side_by_side[0]

    return [[cell(i, j) if i != j else None for j in range(size)] for i in range(size)]
