"""Tensor groups: the best one as a plan of one stage, and whether given devices may be one."""

from __future__ import annotations

from collections.abc import Sequence

from core.plan.cost import Costs, works
from core.plan.fabric import Fabric, legal_groups, tensor_refusal
from core.plan.plan import PlanError, Stage
from core.plan.problem import Caps
from core.plan.ranges import Limits
from core.plan.search import single
from core.plan.setting import Setting

MOST = 10
"""Devices, the fastest, among which groups are looked for: 1,013 groups."""


def best_group(setting: Setting) -> list[Stage]:
    """The fastest tensor group as the one stage of a plan. Raises PlanError, saying why, if none is legal
    or none fits."""
    problem = setting.problem(caps=Caps(tensor=True))
    if len(problem.devices) < 2:
        raise PlanError("a tensor group needs at least two devices")
    if len(problem.devices) > MOST:
        fastest = sorted(problem.devices, key=lambda device: -device.bw)[:MOST]
        setting = setting.among([device.id for device in problem.devices if device in fastest])
        problem = setting.problem(caps=Caps(tensor=True))
    fabric = Fabric(problem)
    groups = [group for group in legal_groups(problem, fabric) if len(group) > 1]
    if not groups:
        reason = setting.spec.unshared.get(2) or tensor_refusal(problem, fabric, (0, 1))
        others = [size for size in setting.sharers if size > len(problem.devices)]
        more = f"; {others[0]} devices could" if others else ""
        raise PlanError(f"no tensor group is legal: {reason}{more}")
    ((_, work),) = works(problem)
    costs = Costs(problem, work, groups)
    total, sequence = single(Limits(costs))
    if total == float("inf"):
        raise PlanError(f"{setting.spec.name} fits no tensor group at context {setting.context}")
    first, *others = costs.names(sequence[0])
    return [Stage(first, 0, problem.model.depth, tuple(others))]


def must_share(setting: Setting, stages: Sequence[Stage]) -> None:
    """Raise PlanError unless the devices of each tensor group can share its layers."""
    problem = setting.problem()
    fabric = Fabric(problem)
    index = {device.id: i for i, device in enumerate(problem.devices)}
    for stage in stages:
        if not stage.members:
            continue
        size = len(stage.devices)
        if size not in setting.sharers:
            reason = setting.spec.unshared.get(size, f"{size} are more than a tensor group may have")
        else:
            reason = tensor_refusal(problem, fabric, [index[name] for name in stage.devices])
        if reason:
            raise PlanError(f"{'+'.join(stage.devices)} cannot be a tensor group: {reason}")
