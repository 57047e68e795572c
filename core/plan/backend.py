"""What carries a plan's data between its ranks, and why that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

from core.plan import jaccl
from core.plan.plan import Backend, PlanError, Stage, Wire

Asked = Literal["auto", "sockets", "ring", "jaccl"]
RDMA: tuple[Backend, ...] = ("jaccl", "jaccl-ring")


class Carrier(NamedTuple):
    """A backend, and a sentence for the plan card."""

    backend: Backend
    why: str


def choose(stages: Sequence[Stage], wires: Sequence[Wire] = (), asked: Asked = "auto") -> Carrier:
    """The backend for a plan's stages. Raises PlanError where the one asked for cannot carry them.

    RDMA where it joins all ranks that meet in one group; else MLX's ring in tensor groups, and sockets from
    stage to stage.
    """
    shared = any(stage.members for stage in stages)
    over = _over_rdma(stages, wires)
    match asked:
        case "sockets" if shared:
            raise PlanError("a tensor group meets in MLX's ring; sockets only join the stages of a pipeline")
        case "sockets":
            return Carrier("sockets", "sockets, as asked")
        case "ring":
            return Carrier("ring", "MLX's ring, as asked")
        case "jaccl":
            if over is None:
                raise PlanError(f"jaccl needs RDMA between its devices; {_unjoined(stages, wires)}")
            return Carrier(over, "RDMA, as asked; untested on hardware")
        case "auto" if over is not None:
            shape = "every pair" if over == "jaccl" else "each device and the next, all around"
            where = " within each tensor group, sockets from stage to stage" if _hybrid(stages) else ""
            return Carrier(over, f"RDMA{where}: cables that are ready join {shape}; untested on hardware")
        case "auto" if shared:
            between = ", sockets from stage to stage" if _hybrid(stages) else ""
            return Carrier("ring", f"MLX's ring in the tensor group{between}: {_unjoined(stages, wires)}")
        case _:
            return Carrier(
                "sockets", "sockets between stages: a waiting rank sleeps, where MLX's ring spins a core"
            )


def within(wires: Sequence[Wire], backend: Asked | Backend) -> list[Wire]:
    """The wires that a backend can use: those of RDMA only where it is RDMA, or may be."""
    return [wire for wire in wires if wire.kind != "rdma" or backend in ("auto", *RDMA)]


def refit(backend: Backend, stages: Sequence[Stage], wires: Sequence[Wire]) -> Backend:
    """The backend of a plan whose stages were changed: the same where it can carry these too."""
    shared = any(stage.members for stage in stages)
    if backend == "ring" or (backend == "sockets" and not shared):
        return backend
    return choose(stages, wires).backend


def again(backend: Backend) -> Asked:
    """What to ask for in other plans that are to be compared with one of this backend."""
    return "auto" if backend == "jaccl" or backend == "jaccl-ring" else backend


def meetings(stages: Sequence[Stage]) -> list[tuple[str, ...]]:
    """The devices of each group of ranks that meet in MLX: all of a pipeline, or each tensor group."""
    if any(stage.members for stage in stages):
        return [stage.devices for stage in stages if stage.members]
    return [tuple(stage.device for stage in stages)]


def _hybrid(stages: Sequence[Stage]) -> bool:
    return len(stages) > 1 and any(stage.members for stage in stages)


def _over_rdma(stages: Sequence[Stage], wires: Sequence[Wire]) -> Backend | None:
    """How RDMA could carry them; None where it cannot."""
    groups = meetings(stages)
    forms = {jaccl.form(jaccl.lanes(names, wires)) for names in groups}
    if None in forms or any(len(names) == 1 for names in groups):
        return None
    return "jaccl" if forms == {"jaccl"} else "jaccl-ring"


def _unjoined(stages: Sequence[Stage], wires: Sequence[Wire]) -> str:
    """Which pair lacks RDMA."""

    def pairs() -> Iterator[str]:
        for names in meetings(stages):
            between = jaccl.lanes(names, wires)
            for i, j in combinations(range(len(names)), 2):
                if not between[i][j]:
                    yield f"{names[i]}–{names[j]}"

    return next((f"{pair} has no cable that is ready for it" for pair in pairs()), "there is one device")
