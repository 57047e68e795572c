"""The plans a suite compares, made for the devices at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.bench.suite import NamedSplit, Suite
from core.circumstances import hosts, wires
from core.models.spec import ModelSpec
from core.plan.backend import Asked, again
from core.plan.plan import Backend, Host, Plan, PlanError, Stage, Wire
from core.plan.propose import propose, seats, split
from core.plan.rules import even, exo, llama_cpp
from core.plan.setting import Setting
from core.shelf import Kept
from core.state import ClusterState

RULES = {"even": even, "exo": exo, "memory": llama_cpp}

Contender = tuple[str, Plan]


def here(state: ClusterState, auto: Plan, context: int, kept: Sequence[Kept] = ()) -> Contenders:
    """Those of the devices that are ready now, for the model that is chosen; `kept` are the plans on the
    shelf."""
    if state.model is None:
        raise PlanError("no model is chosen")
    return Contenders(state.model, hosts(state), wires(state), context, auto.backend, auto, kept)


class Contenders:
    """Plans by the names a suite uses. `left_out` says which there are not, and why.

    `context` is what all requests at once come to, which may be more than the model takes of one.
    """

    def __init__(
        self,
        spec: ModelSpec,
        hosts: Sequence[Host],
        wires: Sequence[Wire],
        context: int,
        backend: Backend,
        auto: Plan,
        kept: Sequence[Kept] = (),
    ) -> None:
        self._spec, self._hosts, self._wires = spec, {host.id: host for host in hosts}, wires
        self._context, self._auto = context, auto
        self._backend: Asked = again(backend)
        self._kept = {one.name: one.plan for one in kept}
        self.left_out: list[str] = []

    def of(self, suite: Suite) -> list[Contender]:
        """In the suite's order. A split that is there already under another name is left out."""
        chosen: list[Contender] = []
        seen: dict[tuple[Stage, ...], str] = {}
        for name, plan in self._named(suite):
            same = seen.setdefault(plan.stages, name)
            if same == name:
                chosen.append((name, plan))
            else:
                self.left_out.append(f"{name} is the same plan as {same}")
        return chosen

    def _named(self, suite: Suite) -> Iterator[Contender]:
        for name in suite.plans:
            try:
                match name:
                    case "auto":
                        roomy = self._auto.context >= self._context
                        yield name, self._auto if roomy else self.again(list(self._auto.split))
                    case "single":
                        yield name, self._single()
                    case "neighbours":
                        yield from self._neighbours()
                    case _:
                        setting = Setting(self._spec, list(self._hosts.values()), self._wires, self._context)
                        yield name, self._split(RULES[name](setting))
            except PlanError as error:
                self.left_out.append(f"{name}: {error}")
        for one in suite.plan:
            try:
                yield one.name, self.named(one)
            except PlanError as error:
                self.left_out.append(f"{one.name}: {error}")

    def named(self, one: NamedSplit) -> Plan:
        """A suite's own split, or the plan kept under its name. Raises PlanError."""
        if not one.split:
            return self._from_shelf(one.name)
        names = one.on or tuple(sorted(self._hosts))[: len(one.split)]
        return self._on(seats(names, self._hosts), one.split, self._backend)

    def _from_shelf(self, name: str) -> Plan:
        plan = self._kept.get(name)
        if plan is None:
            raise PlanError("no plan is kept under this name")
        if plan.model != self._spec.name:
            raise PlanError(f"it is a plan for {plan.model}")
        groups = [stage.devices for stage in plan.stages]
        seats([name for group in groups for name in group], self._hosts)
        return self._on(groups, plan.split, again(plan.backend))

    def _on(self, groups: Sequence[Sequence[str]], counts: Sequence[int], asked: Asked) -> Plan:
        """So many layers on the devices of each stage."""
        shared = any(len(group) > 1 for group in groups)
        return split(
            self._spec,
            [self._hosts[name] for group in groups for name in group],
            counts,
            self._context,
            groups=[len(group) for group in groups],
            wires=self._wires,
            # Sockets only join stages.
            asked="auto" if shared and asked == "sockets" else asked,
        )

    def again(self, counts: Sequence[int]) -> Plan:
        """The planner's devices and groups with other layers. Raises PlanError."""
        return self._on([stage.devices for stage in self._auto.stages], counts, self._backend)

    def _split(self, stages: Sequence[Stage]) -> Plan:
        counts = [stage.layers for stage in stages]
        return self._on([stage.devices for stage in stages], counts, self._backend)

    def _single(self) -> Plan:
        """All layers on the device where that is forecast to be fastest. Raises PlanError."""
        plans: list[Plan] = []
        reason = "no device is ready"
        for name in self._hosts:
            try:
                plans.append(propose(self._spec, [self._hosts[name]], [], self._context, asked=self._backend))
            except PlanError as error:
                reason = str(error)
        if not plans:
            raise PlanError(reason)
        return max(plans, key=lambda plan: plan.forecast.decode_tps if plan.forecast else 0.0)

    def _neighbours(self) -> Iterator[Contender]:
        """The planner's split with a sixteenth of the layers moved from one stage to the next, either way."""
        names, counts = ["+".join(stage.devices) for stage in self._auto.stages], list(self._auto.split)
        step = max(1, self._spec.layers // 16)
        for i in range(len(counts) - 1):
            for giver, taker in ((i, i + 1), (i + 1, i)):
                if counts[giver] > step:
                    moved = counts.copy()
                    moved[giver] -= step
                    moved[taker] += step
                    name = f"{names[giver]}→{names[taker]} {step}"
                    try:
                        yield name, self.again(moved)
                    except PlanError as error:
                        self.left_out.append(f"{name}: {error}")
