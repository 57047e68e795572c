"""A plan chosen by hand: it stays as the cluster changes, and says what keeps it from launching."""

from __future__ import annotations

import asyncio
import time

from msgspec.structs import replace

from core import events as ev
from core.bus import Bus
from core.circumstances import Circumstances, circumstances, hosts, obstacle, wires
from core.plan.backend import refit
from core.plan.edit import BY_HAND
from core.plan.plan import Plan
from core.plan.propose import priced
from core.state import ClusterState


class Handmade:
    """Publishes the plan a person has taken, again when it fares otherwise. Call `consider` for every event,
    inside a running loop."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._priced_for = Circumstances()
        self._task: asyncio.Task[None] | None = None

    def take(self, plan: Plan) -> None:
        """Use this plan from now on. Its figures follow once they are computed."""
        carried = refit(plan.backend, plan.stages, wires(self._bus.state))
        plan = replace(plan, forecast=None, requests=0, tokens=0, backend=carried)
        self._publish(replace(plan, obstacle=obstacle(self._bus.state, plan)))
        self._priced_for = Circumstances()
        self._price()

    def release(self) -> None:
        """Use the planner's plan again."""
        if self._bus.state.by_hand:
            self._bus.publish(ev.PlanReleased(t=time.time()))

    def consider(self, event: ev.AnyEvent) -> None:
        """Look again at a plan taken by hand when what it depends on may have changed."""
        state = self._bus.state
        telling = (
            ev.DeviceSeen
            | ev.DeviceSample
            | ev.DeviceTuned
            | ev.LinkMeasured
            | ev.LinkFailed
            | ev.PathChosen
            | ev.BandwidthMeasured
            | ev.RunStopped
        )
        if not isinstance(event, telling) or not state.by_hand or state.plan is None:
            return
        reason = obstacle(state, state.plan)
        elsewhere = not circumstances(state).like(self._priced_for)
        # How much memory is short changes each second: that alone is no news.
        if bool(reason) != bool(state.plan.obstacle) or (elsewhere and reason != state.plan.obstacle):
            self._publish(replace(state.plan, obstacle=reason))
        if elsewhere:
            self._price()

    def _publish(self, plan: Plan) -> None:
        self._bus.publish(ev.PlanTaken(t=time.time(), plan=plan))

    def _price(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        """Compute figures until they are those of the plan and the cluster as they are."""
        while (state := self._bus.state).by_hand and state.plan is not None:
            plan, self._priced_for = state.plan, circumstances(state)
            priced = await asyncio.to_thread(_priced, state, plan)
            now = self._bus.state
            if not now.by_hand or now.plan is None:
                return
            if (now.plan.stages, now.plan.context) == (plan.stages, plan.context):
                self._publish(replace(priced, obstacle=now.plan.obstacle))
                if circumstances(now).like(self._priced_for):
                    return

    async def close(self) -> None:
        """End computing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def _priced(state: ClusterState, plan: Plan) -> Plan:
    """The plan with its figures in this state and what to say of it; without, where they cannot be had."""
    if state.model is None:
        return replace(plan, forecast=None, why=BY_HAND)
    return priced(state.model, hosts(state), wires(state), plan, BY_HAND)
