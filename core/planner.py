"""Keeps the plan fit for the cluster: plans when what matters has changed, away from the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from pathlib import Path

from msgspec.structs import replace

from core import events as ev
from core.bus import Bus
from core.circumstances import Circumstances, circumstances, hosts, obstacle, unsettled, wires
from core.models.spec import ModelSpec
from core.plan.calibrate import WORTH, Timing, gain, learn
from core.plan.plan import Plan, PlanError, Tuning
from core.plan.setting import Setting
from core.state import ClusterState
from core.tunings import keep, recall
from core.wish import Wish

LOOK_S = 5.0
"""Between two looks at whether memory in use has overtaken the plan."""


class Planner:
    """Listens to the bus and publishes plans. Call `consider` for every event, inside a running loop.

    What runs teach about devices is kept in `memory` where there is one, else until the console closes.
    """

    def __init__(self, bus: Bus, spec: ModelSpec | None, wish: Wish, memory: Path | None = None) -> None:
        self._bus = bus
        self._spec = spec
        self._wish = wish
        self._planned_for = Circumstances()
        self._looked = 0.0
        self._task: asyncio.Task[None] | None = None
        self._comparing: asyncio.Task[None] | None = None
        self._memory = memory
        self._limits = memory.with_name("limits.json") if memory else None
        self._tunings = recall(memory, Tuning)
        self._working_sets = recall(self._limits, int)
        self._learnt: set[str] = set()
        """Requests that have taught all they can."""

    def consider(self, event: ev.AnyEvent) -> None:
        """Plan again when the circumstances have changed and no run depends on the plan."""
        if isinstance(event, ev.ModelChosen) and event.spec != self._spec:
            # A split was asked for the layers of the model before.
            self._wish = replace(self._wish, split=(), on=())
            self._spec, self._planned_for = event.spec, Circumstances()
        if isinstance(event, ev.RankTimed | ev.RequestDone):
            self._learn(event.request)
        if isinstance(event, ev.RankHello) and event.memory_limit:
            self._limit(event.rank, event.memory_limit)
        if isinstance(event, ev.DeviceFacts):
            self._recollect(event.device)
        telling = (
            ev.ModelChosen
            | ev.DeviceSeen
            | ev.DeviceSample
            | ev.LinkMeasured
            | ev.LinkFailed
            | ev.PathChosen
            | ev.BandwidthMeasured
            | ev.CablesSeen
            | ev.RunStopped
        )
        if isinstance(event, telling) and (self._task is None or self._task.done()):
            if self._overtaken():
                self._planned_for = Circumstances()
            if self._stale():
                self._task = asyncio.create_task(self._follow())

    async def settled(self) -> None:
        """Return once the plan is the one for the cluster as it is, without what a run before has held."""
        await self._bus.until(lambda state: not unsettled(state))
        while self._stale() or (self._task is not None and not self._task.done()):
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._follow())
            await asyncio.shield(self._task)

    @property
    def _free(self) -> bool:
        """Whether a plan may be made now: none under a run, nor on samples in which one still is."""
        state = self._bus.state
        live = state.run is not None and state.run.live
        return self._spec is not None and not live and not unsettled(state)

    def _stale(self) -> bool:
        return self._free and not circumstances(self._bus.state).like(self._planned_for)

    def _overtaken(self) -> bool:
        """Whether there may be a plan now where there was none, or the plan no longer fits. Looked at every
        few seconds, as memory in use changes all the time."""
        state, now = self._bus.state, time.monotonic()
        if not self._free or now - self._looked < LOOK_S:
            return False
        self._looked = now
        if state.auto is None:
            return circumstances(state).roomier(self._planned_for)
        return obstacle(state, state.auto) != ""

    async def _follow(self) -> None:
        """Plan until nothing has changed while planning."""
        while self._stale() and (spec := self._spec) is not None:
            state = self._bus.state
            self._planned_for, self._looked = circumstances(state), time.monotonic()
            try:
                plan = await asyncio.to_thread(self._make, spec, state)
                event = ev.PlanChosen(t=time.time(), plan=plan)
            except PlanError as error:
                event = ev.PlanFailed(t=time.time(), reason=str(error))
            if self._spec is not spec:
                continue
            if self._bus.state.run is not None and self._bus.state.run.live:
                # The run was started on the plan before; what comes of this one is asked for after it.
                self._planned_for = Circumstances()
                return
            self._bus.publish(event)

    async def spare(self, without: Collection[str]) -> Plan:
        """A plan that leaves devices out, and drops the split asked for where it needs them.

        Raises PlanError, which says what would help.
        """
        state, spec = self._bus.state, self._spec
        if spec is None:
            raise PlanError("no model is chosen")
        left = [host for host in hosts(state) if host.id not in without]
        between = [wire for wire in wires(state) if not {wire.a, wire.b} & set(without)]

        def make() -> Plan:
            try:
                return launchable(self._wish.plan(spec, left, between))
            except PlanError:
                free = replace(self._wish, split=(), on=())
                return launchable(free.plan(spec, left, between))

        def launchable(plan: Plan) -> Plan:
            if plan.obstacle:
                raise PlanError(plan.obstacle)
            return plan

        return await asyncio.to_thread(make)

    def _make(self, spec: ModelSpec, state: ClusterState) -> Plan:
        return self._wish.plan(spec, hosts(state), wires(state))

    def _recollect(self, device: str) -> None:
        """Say what runs of before have taught about a device."""
        if known := self._tunings.get(device):
            self._bus.publish(ev.DeviceTuned(t=time.time(), device=device, tuning=known))
        if size := self._working_sets.get(device):
            self._bus.publish(ev.DeviceLimited(t=time.time(), device=device, working_set=size))

    def _limit(self, rank: int, working_set: int) -> None:
        """What a rank says of its device's working set counts from here, where the device has not set it."""
        run = self._bus.state.run
        if run is None or not 0 <= rank < len(run.ranks):
            return
        device = self._bus.state.devices.get(run.ranks[rank].device)
        if device is None or device.sample is None or not device.sample.assumed:
            return
        if device.working_set != working_set:
            self._working_sets[device.id] = working_set
            self._bus.publish(ev.DeviceLimited(t=time.time(), device=device.id, working_set=working_set))
            keep(self._limits, int, {device.id: working_set})

    def _learn(self, name: str) -> None:
        """Refit devices to a finished request, once every rank has said where its time went."""
        state = self._bus.state
        request, run = state.requests.get(name), state.run
        if request is None or run is None or request.done is None or name in self._learnt:
            return
        if request.held or self._spec is None:  # the times of a held one are only of its last part
            return
        if len(request.ranks) < len(run.ranks) or request.done.why not in ("stop", "length"):
            return
        self._learnt.intersection_update(state.requests)  # the others are asked about no more
        self._learnt.add(name)
        done = request.done
        timings = {
            run.ranks[rank].stage: Timing(
                busy_s=timed.compute_s,
                steps=timed.steps,
                prompt=max(0, done.prompt_tokens - done.reused_tokens),
                tokens=done.tokens,
                merged=timed.merged,
                decode_s=timed.decode_s,
                decode_steps=timed.decode_steps,
            )
            for rank, timed in request.ranks.items()
        }
        try:
            setting = Setting(self._spec, hosts(state), wires(state), run.plan.context)
            lessons = learn(setting, run.plan.stages, timings)
        except (PlanError, KeyError):  # a device of the run is gone
            return
        for lesson in lessons:
            self._tunings[lesson.device] = lesson.tuning
            self._bus.publish(ev.DeviceTuned(t=time.time(), device=lesson.device, tuning=lesson.tuning))
            self._say(
                lesson.device,
                f"{lesson.measured_s * 1e3:.1f} ms a token for its layers, {lesson.predicted_s * 1e3:.1f} "
                "predicted; plans now reckon with that",
            )
        if lessons:
            keep(self._memory, Tuning, {lesson.device: lesson.tuning for lesson in lessons})
            self._comparing = asyncio.create_task(self._compare())

    async def _compare(self) -> None:
        """Say so if a plan made with what was learnt would be worth a restart."""
        state = self._bus.state
        if state.run is None or not state.run.live or self._spec is None:
            return
        try:
            plan = await asyncio.to_thread(self._make, self._spec, state)
            setting = Setting(self._spec, hosts(state), wires(state), plan.context)
            faster = gain(setting, state.run.plan.stages, plan.stages)
        except (PlanError, KeyError):
            return
        if faster > WORTH:
            split = "/".join(f"{'+'.join(stage.devices)} {stage.layers}" for stage in plan.stages)
            self._say(
                "plan", f"by these measurements {split} would be {faster:.0%} faster; relaunch to take it"
            )

    def _say(self, subject: str, text: str) -> None:
        self._bus.publish(ev.Alert(t=time.time(), level="info", subject=subject, text=text))

    async def close(self) -> None:
        """End planning."""
        for task in (self._task, self._comparing):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
