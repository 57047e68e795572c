"""What a plan is worth on the cluster as it is. Takes numpy and milliseconds: not the event loop's work."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from core.circumstances import closely, hosts, wires
from core.plan.explain import outsiders
from core.plan.forecast import Pricing
from core.plan.plan import Forecast, Plan, PlanError
from core.plan.setting import Setting
from core.state import ClusterState


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """Forecasts of a plan and of the automatic one in the same setting, None where there is none; and why
    devices that could be in the plan are not."""

    forecast: Forecast | None = None
    auto: Forecast | None = None
    left_out: Mapping[str, str] = {}


class Quoter:
    """Quotes plans, quickly again while the cluster stays as it is. One call at a time."""

    def __init__(self) -> None:
        self._key: object = None
        self._pricing: Pricing | None = None

    def quote(self, state: ClusterState, plan: Plan, auto: Plan | None, *, why: bool) -> Quote:
        """The quote of a plan; with `why`, also of putting in each device that is left out."""
        pricing = self._at(state, plan.context)
        if pricing is None:
            return Quote()
        forecast = pricing.figures(plan.stages)
        known = auto is not None and auto.model == plan.model
        return Quote(
            forecast=forecast,
            auto=pricing.figures(auto.stages) if auto is not None and known else None,
            left_out=outsiders(pricing.setting, plan.stages, forecast) if why and forecast else {},
        )

    def _at(self, state: ClusterState, context: int) -> Pricing | None:
        key = closely(state), state.model, context
        if key != self._key:
            self._key, self._pricing = key, None
            if state.model is not None:
                try:
                    self._pricing = Pricing(Setting(state.model, hosts(state), wires(state), context))
                except PlanError:  # no device has memory free
                    return None
        return self._pricing
