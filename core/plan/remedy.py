"""Why a model fits nowhere, and the least that would help."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from core.models.spec import ModelSpec
from core.plan import memory
from core.plan.plan import Host, PlanError, Wire
from core.plan.setting import Setting
from core.plan.solve import NoPlan, solve
from core.text import size

STEP = 2**27
"""Bytes to which a wanted amount of memory is found."""
MOST_HOSTS = 8
"""So many hosts, those with most memory, are asked whether they could make room."""


def shortage(spec: ModelSpec, hosts: Sequence[Host], wires: Sequence[Wire], context: int) -> str:
    """One line: what is needed, what there is, and the smallest remedies."""

    def possible(changed: Sequence[Host], tokens: int) -> bool:
        try:
            solve(Setting(spec, changed, wires, tokens).problem())
        except (NoPlan, PlanError):
            return False
        return True

    need = memory.weights(spec, 0, spec.layers) + memory.cache(spec, 0, spec.layers, context)
    have = sum(max(0, memory.usable(h) - memory.runtime(h) - memory.workspace(spec, context)) for h in hosts)
    text = (
        f"{spec.name} at context {context} needs about {size(need)} and the {len(hosts)} devices have "
        f"{size(have)} for weights and cache"
    )
    remedies: list[str] = []
    shorter = _most(lambda tokens: possible(hosts, tokens), 0, context, max(1, context // 64))
    if shorter:
        remedies.append(f"context {shorter} fits")
    wanted: list[tuple[int, str]] = []
    for host in sorted(hosts, key=lambda h: -h.memory_limit)[:MOST_HOSTS]:

        def roomier(missing: int, host: Host = host) -> bool:
            more = replace(host, memory_limit=host.memory_limit + missing)
            return possible([more if h is host else h for h in hosts], context)

        enough = int((need + spec.embed_bytes) / (1 - memory.HEADROOM)) + 2**32
        if roomier(enough):
            wanted.append((enough - _most(lambda cut: roomier(enough - cut), 0, enough, STEP), host.id))  # noqa: B023
    if wanted:
        missing, name = min(wanted)
        remedies.append(
            f"so does {size(missing)} more on {name}"
            if remedies
            else f"{size(missing)} more on {name} would do"
        )
    apart = [f"layers {one.first} to {one.last} must be on one device" for one in spec.together]
    return "; ".join(filter(None, (text, ", ".join(apart), ", ".join(remedies))))


def _most(holds: Callable[[int], bool], low: int, high: int, step: int) -> int:
    """The largest number up to `high` for which `holds`, to within `step`; `low` where only that does."""
    while high - low > step:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
