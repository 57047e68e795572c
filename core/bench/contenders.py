"""The plans a suite compares, made for the devices at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.bench.suite import NamedSplit, Suite
from core.circumstances import hosts, wires
from core.models.spec import ModelSpec
from core.plan.backend import Asked, again
from core.plan.plan import Backend, Host, Plan, PlanError, Stage, Wire
from core.plan.propose import propose, split
from core.plan.rules import even, exo, llama_cpp
from core.plan.setting import Setting
from core.state import ClusterState

RULES = {"even": even, "exo": exo, "memory": llama_cpp}

Contender = tuple[str, Plan]


def here(state: ClusterState, auto: Plan, context: int) -> Contenders:
    """Those of the devices that are ready now, for the model that is chosen."""
    if state.model is None:
        raise PlanError("no model is chosen")
    return Contenders(state.model, hosts(state), wires(state), context, auto.backend, auto)


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
    ) -> None:
        self._spec, self._hosts, self._wires = spec, {host.id: host for host in hosts}, wires
        self._context, self._auto = context, auto
        self._backend: Asked = again(backend)
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
        """A suite's own split. Raises PlanError."""
        names = one.on or tuple(sorted(self._hosts))[: len(one.split)]
        if missing := [name for name in names if name not in self._hosts]:
            raise PlanError(f"{', '.join(missing)} is not ready")
        return self._on(names, one.split)

    def _on(self, names: Sequence[str], counts: Sequence[int], groups: Sequence[int] = ()) -> Plan:
        hosts, wires = [self._hosts[name] for name in names], self._wires
        return split(
            self._spec, hosts, counts, self._context, groups=groups, wires=wires, asked=self._backend
        )

    def again(self, counts: Sequence[int]) -> Plan:
        """The planner's devices and groups with other layers. Raises PlanError."""
        return self._on([post.device for post in self._auto.posts], counts, self._auto.groups)

    def _split(self, stages: Sequence[Stage]) -> Plan:
        return self._on([stage.device for stage in stages], [stage.layers for stage in stages])

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
