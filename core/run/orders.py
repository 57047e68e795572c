"""What each rank is told at its start: which part of the model it runs, and how it meets the others."""

from __future__ import annotations

from collections.abc import Sequence

from core.plan.plan import Plan
from core.remote.machine import Machine

Order = dict[str, object]


def orders(plan: Plan, machines: Sequence[Machine], models: Sequence[str]) -> list[Order]:
    """The start orders of all ranks, given their machines and where each finds the model, in order.

    Addresses are chosen here for both ends of a connection: each is where a rank is seen from the one that
    will call it.
    """
    posts = plan.posts
    grouped: Order = {}
    if max(plan.groups) > 1:
        rings = [
            machine.seen_from(machines[rank - 1 if post.part else rank + post.parts - 1])
            for rank, (post, machine) in enumerate(zip(posts, machines, strict=True))
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
            # The rank before it calls; the first one is called by the last.
            "address": machine.seen_from(machines[rank - 1]),
            **grouped,
        }
        for rank, (post, machine, model) in enumerate(zip(posts, machines, models, strict=True))
    ]
