"""How a plan is to go: the cost model applied to given stages, whoever chose them."""

from __future__ import annotations

from collections.abc import Sequence

from core.plan.cost import Costs, value, works
from core.plan.memory import footprint, usable
from core.plan.plan import Forecast, PlanError, Stage, StageForecast
from core.plan.problem import Objective
from core.plan.setting import Setting


class Pricing:
    """Forecasts for one setting. Raises PlanError for stages that are not joined by links."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._index = {name: i for i, name in enumerate(setting.hosts)}
        self._tables: dict[tuple[Objective, tuple[tuple[int, ...], ...]], Costs] = {}

    def costs(self, stages: Sequence[Stage], objective: Objective) -> tuple[Costs, int]:
        """Cost tables with exactly the stages' groups, in order, and how often a step repeats."""
        problem = self.setting.problem(objective)
        ((repeats, work),) = works(problem)
        groups = tuple(tuple(self._index[name] for name in stage.devices) for stage in stages)
        key = (objective, groups)
        if key not in self._tables:
            self._tables[key] = Costs(problem, work, groups)
        return self._tables[key], repeats

    def decode_s(self, stages: Sequence[Stage]) -> float:
        """Seconds of a decoded token; infinite where neighbours are not linked."""
        costs, _ = self.costs(stages, "decode")
        return costs.total(range(len(stages)), _cuts(stages))

    def ttft_s(self, stages: Sequence[Stage]) -> float:
        """Seconds to the first token of a prompt."""
        costs, repeats = self.costs(stages, "prefill")
        order, cuts = range(len(stages)), _cuts(stages)
        return value(costs.problem, repeats, costs.total(order, cuts), costs.bottleneck(order, cuts))

    def stage_s(self, stages: Sequence[Stage], place: int, objective: Objective) -> float:
        """Seconds of one step of a stage, the last with the head."""
        costs, _ = self.costs(stages, objective)
        return costs.stage_times(range(len(stages)), _cuts(stages))[place]

    def forecast(self, stages: Sequence[Stage], gap: float | None) -> Forecast:
        """All figures of a plan. `gap` is passed through."""
        seconds = self.decode_s(stages)
        if seconds == float("inf"):
            raise PlanError("not all neighbouring stages are linked")
        return Forecast(
            decode_tps=1 / seconds,
            ttft_s=self.ttft_s(stages),
            prompt=self.setting.prompt,
            gap=gap,
            confidence=self.setting.confidence([name for stage in stages for name in stage.devices]),
            max_context=self.max_context(stages),
            stages=tuple(self._stage(stages, i) for i in range(len(stages))),
        )

    def figures(self, stages: Sequence[Stage]) -> Forecast | None:
        """`forecast`, or None where a device is not in the setting or neighbours are not linked."""
        if any(name not in self._index for stage in stages for name in stage.devices):
            return None
        try:
            return self.forecast(stages, None)
        except PlanError:
            return None

    def _stage(self, stages: Sequence[Stage], place: int) -> StageForecast:
        costs, _ = self.costs(stages, "decode")
        stage, group = stages[place], list(costs.groups[place])
        weights, cache, compute, launch = (
            part[group, stage.start : stage.end] for part in costs.parts(len(group))
        )
        slowest = int((weights + cache + launch).sum(axis=1).argmax())
        reading = weights[slowest] + cache[slowest] >= compute[slowest]
        parts = {
            "weights_s": float(weights[slowest][reading].sum()),
            "cache_s": float(cache[slowest][reading].sum()),
            "compute_s": float(compute[slowest][~reading].sum()),
            "launch_s": float(launch[slowest].sum()),
        }
        own = float(costs.time[place, stage.end] - costs.time[place, stage.start])
        hops = costs.hop_times(range(len(stages)))
        return StageForecast(
            **parts,
            reduce_s=max(0.0, own - sum(parts.values())) if len(group) > 1 else 0.0,
            head_s=float(costs.head[place]) if place == len(stages) - 1 else 0.0,
            hop_s=hops[place] if hops else 0.0,
            memory=tuple(
                footprint(self.setting.spec, stage, self.setting.hosts[name], self.setting.context)
                for name in stage.devices
            ),
        )

    def max_context(self, stages: Sequence[Stage]) -> int:
        """The longest context every stage has memory for, at most the model's; 0 if there is none."""
        spec, hosts = self.setting.spec, self.setting.hosts

        def fits(context: int) -> bool:
            return all(
                footprint(spec, stage, hosts[name], context).needed <= usable(hosts[name])
                for stage in stages
                for name in stage.devices
            )

        low, high = 0, spec.context
        if fits(high):
            return high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low


def _cuts(stages: Sequence[Stage]) -> list[int]:
    return [0, *(stage.end for stage in stages)]
