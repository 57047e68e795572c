"""The plan for a model on a cluster: the planner's own, or the one a person asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from msgspec.structs import replace

from core.models.spec import ModelSpec
from core.plan import backend, memory
from core.plan.backend import Asked, within
from core.plan.check import check_cover, misplaced
from core.plan.choose import choose, spread
from core.plan.explain import as_stages, reasons
from core.plan.forecast import Pricing
from core.plan.plan import Host, Plan, PlanError, Stage, Wire
from core.plan.problem import Caps
from core.plan.remedy import shortage
from core.plan.setting import Setting
from core.plan.solve import NoPlan, solve
from core.plan.tensor import best_group, must_share
from core.text import size

Mode = Literal["auto", "pipeline", "tensor"]
EXACT = 1e-7
"""A gap below this is none."""
MOST_HYBRID = 6
"""Devices up to which pipelines of tensor groups are looked for."""
WORTH = 0.05
"""How much faster a plan with tensor groups must be, as each of them ends with any of its devices."""


def propose(
    spec: ModelSpec,
    hosts: Sequence[Host],
    wires: Sequence[Wire],
    context: int,
    *,
    asked: Asked = "auto",
    mode: Mode = "auto",
    everywhere: bool = False,
    notes: Sequence[str] = (),
) -> Plan:
    """The best plan at a context. `everywhere` spreads it over all devices that leave most of the speed, as
    a rehearsal does. `notes` are added to the reasons.

    `auto` weighs tensor groups where all their devices are joined by RDMA; over anything else `tensor` has
    to be asked for. Raises PlanError when none fits, with what is missing and the smallest remedy.
    """
    setting = Setting(spec, hosts, within(wires, asked), context)
    problem = setting.problem()
    if mode == "tensor":
        return _explained(setting, best_group(setting), asked, None, notes)
    try:
        if everywhere:
            shares = [max(1.0, device.mem - problem.constants.runtime_bytes) for device in problem.devices]
            spans = spread(problem, shares)
            return _explained(setting, as_stages(spans), asked, None, notes)
        stages, gap = _pipeline(setting)
    except NoPlan:
        raise PlanError(shortage(spec, hosts, wires, context)) from None
    if mode == "auto" and any(wire.kind == "rdma" for wire in setting.wires):
        stages, gap = _shared(setting, stages, gap)
    return _explained(setting, stages, asked, gap, notes)


def _pipeline(setting: Setting) -> tuple[list[Stage], float]:
    """The best stages of single devices, and how far from the fastest they can be. Raises NoPlan."""
    choice = choose(setting.problem())
    stages = as_stages(choice.spans)
    carried = setting.carrying(stages)
    if carried.wires == setting.wires:
        return stages, choice.gap
    # RDMA joins some of them and not all, so that it carries none: it made others seem faster than they are.
    least = Pricing(setting).decode_s(stages) * (1 - choice.gap)
    stages = as_stages(choose(carried.problem()).spans)
    gap = 1 - least / Pricing(setting.carrying(stages)).decode_s(stages)
    return stages, gap if gap > EXACT else 0.0


def _shared(setting: Setting, stages: list[Stage], gap: float) -> tuple[list[Stage], float]:
    """The best stages with tensor groups over RDMA, and how far from the fastest they can be; the given ones
    where those are not clearly slower."""
    hybrid = len(setting.hosts) <= MOST_HYBRID
    found = solve(setting.problem(caps=Caps(tensor=True, hybrid=hybrid, tp_needs_rdma=True)))
    if found.value > Pricing(setting.carrying(stages)).decode_s(stages) * (1 - WORTH):
        return stages, gap
    return as_stages(found.spans), found.gap


def seats(names: Sequence[str], ready: Collection[str]) -> list[list[str]]:
    """The devices of each stage of a split, which is a device's name or `a+b` for two that share its layers.
    Raises PlanError for those that are not ready."""
    groups = [[name] if name in ready else name.split("+") for name in names]
    if missing := [name for group in groups for name in group if name not in ready]:
        raise PlanError(f"{', '.join(missing)} is not ready")
    return groups


def split(
    spec: ModelSpec,
    hosts: Sequence[Host],
    counts: Sequence[int],
    context: int,
    *,
    groups: Sequence[int] = (),
    wires: Sequence[Wire] = (),
    asked: Asked = "auto",
    notes: Sequence[str] = (),
) -> Plan:
    """The plan a person asked for: `counts[i]` layers on `hosts[i]`; or on the next `groups[i]` hosts, which
    share them.

    Raises PlanError when the counts do not add up to the model, a device gets none, the model cannot be cut
    there, a group cannot share its layers, or memory is short.
    """
    groups = groups or [1] * len(hosts)
    if len(counts) != len(groups):
        raise PlanError(f"the split names {len(counts)} stages for {len(groups)} devices")
    if len({host.id for host in hosts}) < len(hosts):
        raise PlanError("the split names a device twice")
    if sum(counts) != spec.layers:
        named = "+".join(map(str, counts))
        raise PlanError(f"the split {named} is {sum(counts)} layers; {spec.name} has {spec.layers}")
    stages: list[Stage] = []
    start, rest = 0, list(hosts)
    for members, count in zip(groups, counts, strict=True):
        (first, *others), rest = rest[:members], rest[members:]
        stages.append(Stage(first.id, start, start + count, tuple(host.id for host in others)))
        start += count
    check_cover([(stage.start, stage.end) for stage in stages], spec.layers)
    if refused := misplaced(spec, stages):
        raise PlanError(refused[0])
    by_name = {host.id: host for host in hosts}
    for stage in stages:
        for name in stage.devices:
            missing = -memory.footprint(spec, stage, by_name[name], context).free
            if missing > 0:
                raise PlanError(
                    f"{name} is {size(missing)} short of memory for layers "
                    f"{stage.start} to {stage.end - 1} at context {context}"
                )
    setting = Setting(spec, hosts, within(wires, asked), context)
    must_share(setting, stages)
    return _explained(setting, stages, asked, None, ("the split asked for", *notes))


def priced(
    spec: ModelSpec, hosts: Sequence[Host], wires: Sequence[Wire], plan: Plan, notes: Sequence[str]
) -> Plan:
    """A plan that is there already with its figures on these devices, and what to say of it after `notes`;
    without figures where they cannot be had."""
    bare = replace(plan, forecast=None, why=tuple(notes))
    try:
        setting = Setting(spec, hosts, wires, plan.context).carrying(plan.stages, plan.backend)
    except PlanError:
        return bare
    forecast = Pricing(setting).figures(plan.stages)
    if forecast is None:
        return bare
    why = (*notes, *reasons(setting, plan.stages, forecast))
    return memory.crowded(spec, replace(plan, forecast=forecast, why=why), setting.hosts.values())


def _explained(
    setting: Setting, stages: Sequence[Stage], asked: Asked, gap: float | None, notes: Sequence[str]
) -> Plan:
    carrier = backend.choose(stages, setting.wires, asked)
    setting = setting.carrying(stages, carrier.backend)
    forecast = Pricing(setting).forecast(stages, gap)
    plan = Plan(
        model=setting.spec.name,
        layers=setting.spec.layers,
        stages=tuple(stages),
        context=setting.context,
        backend=carrier.backend,
        why=(*reasons(setting, stages, forecast), *notes, carrier.why),
        forecast=forecast,
    )
    return memory.crowded(setting.spec, plan, setting.hosts.values())
