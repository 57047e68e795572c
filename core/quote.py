"""What a plan is worth on the cluster as it is. Takes numpy and milliseconds: not the event loop's work."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import msgspec

from core.circumstances import closely, hosts, wires
from core.plan.explain import outsiders
from core.plan.forecast import Pricing
from core.plan.plan import Forecast, Plan, PlanError, Wire
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
        self._setting: Setting | None = None
        self._pricings: dict[tuple[Wire, ...], Pricing] = {}

    def quote(self, state: ClusterState, plan: Plan, auto: Plan | None, *, why: bool) -> Quote:
        """The quote of a plan; with `why`, also of putting in each device that is left out."""
        self._look(state, plan.context)
        pricing = self._pricing(plan)
        if pricing is None:
            return Quote()
        forecast = pricing.figures(plan.stages)
        known = auto is not None and auto.model == plan.model
        other = self._pricing(auto) if auto is not None and known else None
        return Quote(
            forecast=forecast,
            auto=other.figures(auto.stages) if auto is not None and other is not None else None,
            left_out=outsiders(pricing.setting, plan.stages, forecast) if why and forecast else {},
        )

    def _look(self, state: ClusterState, context: int) -> None:
        key = closely(state), state.model, context
        if key == self._key:
            return
        self._key, self._setting, self._pricings = key, None, {}
        if state.model is not None:
            with suppress(PlanError):  # no device has memory free
                self._setting = Setting(state.model, hosts(state), wires(state), context)

    def _pricing(self, plan: Plan) -> Pricing | None:
        """What prices plans over the wires that carry this one."""
        if self._setting is None:
            return None
        carried = self._setting.carrying(plan.stages, plan.backend)
        over = tuple(carried.wires)
        if over not in self._pricings:
            self._pricings[over] = Pricing(carried)
        return self._pricings[over]
