"""Choose which device runs which layers."""

from __future__ import annotations

from collections.abc import Sequence

from core.models.spec import ModelSpec
from core.plan.check import check_cover
from core.plan.memory import free, needed
from core.plan.plan import Backend, Host, Plan, PlanError, Stage
from core.text import size


def propose(
    spec: ModelSpec,
    hosts: Sequence[Host],
    context: int,
    *,
    backend: Backend = "sockets",
    why: Sequence[str] = (),
) -> Plan:
    """Layers in proportion to each device's free memory, moved where a share does not fit.

    Raises PlanError when no split of this kind fits, with what is missing.
    """
    usable = [host for host in hosts if free(host) > 0]
    if not usable:
        raise PlanError("no device has memory free")
    # Most memory first: the remainder of the rounding goes where there is room.
    usable = sorted(usable, key=lambda host: (-free(host), host.id))[: spec.layers]
    counts = _shares([free(host) for host in usable], spec.layers)
    while True:
        plan = _plan(spec, usable, counts, context, backend, why)
        spare = [free(usable[i]) - needed(spec, plan, i) for i in range(len(usable))]
        short = min(range(len(usable)), key=lambda i: spare[i])
        if spare[short] >= 0:
            return plan
        room = max(range(len(usable)), key=lambda i: spare[i])
        if counts[short] == 1 or spare[room] <= 0 or spare[room] < max(spec.layer_bytes):
            raise PlanError(_shortage(spec, usable, context))
        counts[short] -= 1
        counts[room] += 1


def split(
    spec: ModelSpec,
    hosts: Sequence[Host],
    counts: Sequence[int],
    context: int,
    *,
    backend: Backend = "sockets",
    why: Sequence[str] = (),
) -> Plan:
    """The plan a person asked for: `counts[i]` layers on `hosts[i]`.

    Raises PlanError when the counts do not add up to the model, a device gets none, or memory is short.
    """
    if len(counts) != len(hosts):
        raise PlanError(f"the split names {len(counts)} stages for {len(hosts)} devices")
    if sum(counts) != spec.layers:
        named = "+".join(map(str, counts))
        raise PlanError(f"the split {named} is {sum(counts)} layers; {spec.name} has {spec.layers}")
    plan = _plan(spec, hosts, counts, context, backend, why)
    check_cover([(stage.start, stage.end) for stage in plan.stages], spec.layers)
    for rank, host in enumerate(hosts):
        missing = needed(spec, plan, rank) - free(host)
        if missing > 0:
            raise PlanError(
                f"{host.id} is {size(missing)} short of memory for layers "
                f"{plan.stages[rank].start} to {plan.stages[rank].end - 1} at context {context}"
            )
    return plan


def _shares(weights: Sequence[int], layers: int) -> list[int]:
    """`layers` in proportion to `weights`, at least one each (largest remainder)."""
    total = sum(weights)
    exact = [layers * weight / total for weight in weights]
    counts = [max(1, int(share)) for share in exact]
    while sum(counts) < layers:
        counts[max(range(len(counts)), key=lambda i: exact[i] - counts[i])] += 1
    while sum(counts) > layers:
        counts[max(range(len(counts)), key=lambda i: (counts[i] > 1, counts[i] - exact[i]))] -= 1
    return counts


def _plan(
    spec: ModelSpec,
    hosts: Sequence[Host],
    counts: Sequence[int],
    context: int,
    backend: Backend,
    why: Sequence[str],
) -> Plan:
    start = 0
    stages: list[Stage] = []
    for host, count in zip(hosts, counts, strict=True):
        stages.append(Stage(host.id, start, start + count))
        start += count
    return Plan(
        model=spec.name,
        layers=spec.layers,
        stages=tuple(stages),
        context=context,
        backend=backend,
        why=tuple(why),
    )


def _shortage(spec: ModelSpec, hosts: Sequence[Host], context: int) -> str:
    total = sum(free(host) for host in hosts)
    alone = _plan(spec, hosts[:1], [spec.layers], context, "sockets", ())
    want = needed(spec, alone, 0)
    return (
        f"{spec.name} at context {context} needs about {size(want)} and the {len(hosts)} devices have "
        f"{size(total)} free; take a shorter context or add memory"
    )
