"""What each rank is told at its start: which part of the model it runs, and how it meets the others."""

from __future__ import annotations

from collections.abc import Sequence

from core.plan import jaccl
from core.plan.backend import RDMA, meetings
from core.plan.plan import Plan, PlanError, Wire
from core.remote.machine import LOOPBACK, Machine

Order = dict[str, object]


def orders(
    plan: Plan,
    machines: Sequence[Machine],
    models: Sequence[str],
    wires: Sequence[Wire],
    *,
    tunnel: bool = False,
) -> list[Order]:
    """The start orders of all ranks, given their machines and where each finds the model, in order.

    Raises PlanError where the wires, as they are now, do not join what is to meet over RDMA.

    Addresses are chosen here for both ends of a connection: each is the called rank's on the path in use
    between the two, or where its machine is reached from the caller's where no path was measured. With a
    `tunnel` it is the loopback's.
    """
    posts = plan.posts

    def called(rank: int, by: int) -> str:
        there, caller = posts[rank].device, posts[by % len(posts)].device
        measured = (_end(wire, there) for wire in wires if {wire.a, wire.b} == {there, caller})
        return next(filter(None, measured), machines[rank].seen_from(machines[by]))

    rdma = _rdma(plan, wires) if plan.backend in RDMA else {}
    grouped: Order = {}
    if max(plan.groups) > 1:
        rings = [
            called(rank, by=rank - 1 if post.part else rank + post.parts - 1)
            for rank, post in enumerate(posts)
        ]
        grouped = {"mode": "tensor", "groups": plan.groups, "rings": rings}
    return [
        {
            "rank": rank,
            "size": len(posts),
            "start": post.start,
            "end": post.end,
            "model": model,
            "backend": plan.backend,
            "context": plan.context,
            "cached": plan.tokens or plan.context,
            "streams": plan.requests,
            # The rank before it calls; the first one is called by the last.
            "address": LOOPBACK if tunnel else called(rank, by=rank - 1),
            **grouped,
            **rdma.get(post.device, {}),
        }
        for rank, (post, model) in enumerate(zip(posts, models, strict=True))
    ]


def _end(wire: Wire, device: str) -> str:
    """The address of a wire on a device; nothing where it means something on that device only."""
    end = wire.ends[wire.b == device]
    return "" if "%" in end else end


def _rdma(plan: Plan, wires: Sequence[Wire]) -> dict[str, Order]:
    """By device, the RDMA devices of its group, looked up now: names change when cables are moved."""
    told: dict[str, Order] = {}
    for names in meetings(plan.stages):
        between = jaccl.lanes(names, wires)
        shape = jaccl.form(between)
        if shape is None:
            raise PlanError(f"RDMA does not join {', '.join(names)} any more")
        order: Order = {"rdma": {"devices": jaccl.table(between, shape), "ring": shape == "jaccl-ring"}}
        told |= dict.fromkeys(names, order)
    return told
