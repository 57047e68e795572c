"""The plan for a model on a cluster: the planner's own, or the one a person asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from core.models.spec import ModelSpec
from core.plan import memory
from core.plan.check import check_cover
from core.plan.choose import choose, spread
from core.plan.explain import as_stages, reasons
from core.plan.forecast import Pricing
from core.plan.plan import Backend, Host, Plan, PlanError, Stage, Wire
from core.plan.remedy import shortage
from core.plan.setting import NO_TENSOR, Setting
from core.plan.solve import NoPlan
from core.plan.tensor import best_group
from core.text import size

Mode = Literal["auto", "pipeline", "tensor"]


def propose(
    spec: ModelSpec,
    hosts: Sequence[Host],
    wires: Sequence[Wire],
    context: int,
    *,
    backend: Backend = "sockets",
    mode: Mode = "auto",
    everywhere: bool = False,
    notes: Sequence[str] = (),
) -> Plan:
    """The best plan at a context. `everywhere` spreads it over all devices that leave most of the speed, as
    a rehearsal does. `notes` are added to the reasons.

    Raises PlanError when none fits, with what is missing and the smallest remedy.
    """
    setting = Setting(spec, hosts, wires, context)
    problem = setting.problem()
    if mode == "tensor":
        stages = best_group(setting)
        return _explained(setting, stages, backend, None, notes, obstacle=NO_TENSOR)
    try:
        if everywhere:
            shares = [max(1.0, device.mem - problem.constants.runtime_bytes) for device in problem.devices]
            spans = spread(problem, shares)
            return _explained(setting, as_stages(spans), backend, None, notes)
        choice = choose(problem)
    except NoPlan:
        raise PlanError(shortage(spec, hosts, wires, context)) from None
    return _explained(setting, as_stages(choice.spans), backend, choice.gap, notes)


def split(
    spec: ModelSpec,
    hosts: Sequence[Host],
    counts: Sequence[int],
    context: int,
    *,
    wires: Sequence[Wire] = (),
    backend: Backend = "sockets",
    notes: Sequence[str] = (),
) -> Plan:
    """The plan a person asked for: `counts[i]` layers on `hosts[i]`.

    Raises PlanError when the counts do not add up to the model, a device gets none, or memory is short.
    """
    if len(counts) != len(hosts):
        raise PlanError(f"the split names {len(counts)} stages for {len(hosts)} devices")
    if len({host.id for host in hosts}) < len(hosts):
        raise PlanError("the split names a device twice")
    if sum(counts) != spec.layers:
        named = "+".join(map(str, counts))
        raise PlanError(f"the split {named} is {sum(counts)} layers; {spec.name} has {spec.layers}")
    stages: list[Stage] = []
    start = 0
    for host, count in zip(hosts, counts, strict=True):
        stages.append(Stage(host.id, start, start + count))
        start += count
    check_cover([(stage.start, stage.end) for stage in stages], spec.layers)
    for stage, host in zip(stages, hosts, strict=True):
        missing = -memory.footprint(spec, stage, host, context).free
        if missing > 0:
            raise PlanError(
                f"{host.id} is {size(missing)} short of memory for layers "
                f"{stage.start} to {stage.end - 1} at context {context}"
            )
    setting = Setting(spec, hosts, wires, context)
    return _explained(setting, stages, backend, None, ("the split asked for", *notes))


def _explained(
    setting: Setting,
    stages: Sequence[Stage],
    backend: Backend,
    gap: float | None,
    notes: Sequence[str],
    obstacle: str = "",
) -> Plan:
    forecast = Pricing(setting).forecast(stages, gap)
    return Plan(
        model=setting.spec.name,
        layers=setting.spec.layers,
        stages=tuple(stages),
        context=setting.context,
        backend=backend,
        why=(*reasons(setting, stages, forecast), *notes),
        forecast=forecast,
        obstacle=obstacle,
    )
