"""The best tensor group, for the day workers can run one and for the comparison until then."""

from __future__ import annotations

from core.plan.cost import Costs, works
from core.plan.fabric import Fabric, legal_groups, tensor_refusal
from core.plan.plan import PlanError, Stage
from core.plan.problem import Caps
from core.plan.ranges import Limits
from core.plan.search import single
from core.plan.setting import Setting

TENSOR = Caps(tensor=True)


def best_group(setting: Setting) -> list[Stage]:
    """The fastest tensor group as the one stage of a plan. Raises PlanError, saying why, if none is legal
    or none fits."""
    problem = setting.problem(caps=TENSOR)
    fabric = Fabric(problem)
    if len(problem.devices) < 2:
        raise PlanError("a tensor group needs at least two devices")
    groups = [group for group in legal_groups(problem, fabric) if len(group) > 1]
    if not groups:
        raise PlanError(f"no tensor group is legal: {tensor_refusal(problem, fabric, (0, 1))}")
    ((_, work),) = works(problem)
    costs = Costs(problem, work, groups)
    total, sequence = single(Limits(costs))
    if total == float("inf"):
        raise PlanError(f"{setting.spec.name} fits no tensor group at context {setting.context}")
    first, *others = costs.names(sequence[0])
    return [Stage(first, 0, problem.model.depth, tuple(others))]
