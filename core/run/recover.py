"""What comes after a failed run: another one, which goes on with the answers of the first.

Nothing is lost with a run but its workers: every token that was streamed is in the state. So the rest of an
answer is asked for like a new one, with what there is of it behind the prompt. What a rank refuses it would
refuse again: then there is no other run.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection

from core import events as ev
from core.bus import Bus
from core.circumstances import FRESH_S
from core.config import Recover
from core.plan.plan import Plan, PlanError
from core.run.launch import LaunchError
from core.run.queue import Queue
from core.state import ClusterState
from core.text import clean_line

MOST = 4
"""Failed runs in a row, without a token between them, after which it is no use."""
TWICE = 2
"""A device at fault so often in a row is left out."""
PROGRESS = 8
"""Tokens after which a run counts as one that worked."""
LONG_AGO_S = 120.0
SETTLED_S = 0.5
"""Within which the device is known to be lost whose rank is."""
LOOK_S = 0.25

Make = Callable[[Collection[str]], Awaitable[Plan]]
"""A plan without some devices. Raises PlanError."""
Launch = Callable[[Plan], Awaitable[None]]
"""Launch a plan. Returns when it is ready, raises LaunchError when it has failed."""


class Recovery:
    """Call `consider` for every event."""

    def __init__(self, bus: Bus, queue: Queue, how: Recover, make: Make, launch: Launch) -> None:
        self._bus = bus
        self._queue = queue
        self._how = how
        self._make, self._launch = make, launch
        self._blamed: ev.RunBlamed | None = None
        self._faults: Counter[str] = Counter()
        """By device, since the last token."""
        self._failures = 0
        self._failed = 0.0
        """When, the last time."""
        self._tokens = 0
        self._refused: set[str] = set()
        """Devices on which nothing can be started."""
        self._without: set[str] = set()
        """Devices that the last run would have had, or may have to do without."""
        self._back: set[str] = set()
        """Those of them that were entered anew since."""
        self._answer: asyncio.Future[bool] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def under_way(self) -> bool:
        """Requests can be kept: another run is to come."""
        return self._bus.state.recovering

    def consider(self, event: ev.AnyEvent) -> None:
        """Begin when a run has failed."""
        match event:
            case ev.TokensStreamed():
                self._tokens += len(event.ids)
            case ev.RunBlamed():
                self._blame(event)
            case ev.RunStopped() if not event.failed:
                self.stop()
                self._queue.end("cancel", event.reason, event.run)
            case ev.RunStopped():
                self._take_over(event)
            case ev.DeviceSeen(status="ready") if event.device in self._without:
                self._back.add(event.device)
                self._offer()
            case ev.RunReady():
                self._offer()
            case _:
                pass

    def answer(self, accepted: bool) -> None:
        """The user's word, if it was asked for."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(accepted)

    def stop(self) -> None:
        """Give it up."""
        self._blamed = None
        self._forgive()
        if self._task is not None and not self._task.done():
            self._task.cancel()
        if self.under_way:
            self._change("declined", "given up")
            self._queue.end("cancel", "you stopped it")

    def _offer(self) -> None:
        """Say which devices are back, once, while there is a run without them."""
        run = self._bus.state.run
        if run is None or not run.live or run.ready is None:
            return
        for device in sorted(self._back - {rank.device for rank in run.ranks} - set(run.offered)):
            self._bus.publish(ev.RunOffered(t=time.time(), run=run.id, device=device))
            self._say("info", device, "is back; the run goes on without it until it is launched again")

    async def close(self) -> None:
        """End it, whatever becomes of the requests."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _blame(self, event: ev.RunBlamed) -> None:
        if self._tokens >= PROGRESS or event.t - self._failed > LONG_AGO_S:
            self._faults.clear()
            self._failures = 0
        self._blamed, self._failed, self._tokens = event, event.t, 0
        self._failures += 1
        self._faults[event.device] += 1
        if event.fault == "failed" and event.doing == "starting":
            self._refused.add(event.device)
        if self._how.policy != "off" and event.fault != "refused":
            self._change("stopping", event.text)

    def _take_over(self, event: ev.RunStopped) -> None:
        blamed, self._blamed = self._blamed, None
        if blamed is None or self._how.policy == "off" or blamed.fault == "refused":
            self._forgive()
            self._queue.end("error", event.reason, event.run)
            return
        self._queue.hold()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._recover(blamed))

    async def _recover(self, blamed: ev.RunBlamed) -> None:
        began = time.monotonic()
        wanted: Plan | None = None
        if self._how.policy == "ask" and not await self._ask(blamed):
            self._give_up("declined", f"{blamed.text}; not gone on with")
            return
        while True:
            if self._failures > MOST:
                self._give_up("failed", f"{blamed.text}; {self._failures} runs have failed one after another")
                return
            run = self._bus.state.run
            assert run is not None
            before = wanted = wanted or run.plan
            self._without |= {device for stage in before.stages for device in stage.devices}
            try:
                plan = await self._plan(before, blamed)
            except PlanError as error:
                self._give_up("failed", f"{blamed.text}; without it nothing fits: {error}")
                return
            devices = [device for stage in plan.stages for device in stage.devices]
            self._without -= set(devices)
            self._back &= self._without
            self._change("launching", f"going on with {', '.join(devices)}")
            try:
                await self._launch(plan)
            except LaunchError as error:
                reason = str(error)  # whose fault it was is looked at below
            except Exception as error:  # a defect of ours
                self._give_up("failed", clean_line(f"{type(error).__name__}: {error}"))
                return
            else:
                took = time.monotonic() - began
                self._say("info", "recovery", f"goes on after {took:.1f} s, on {', '.join(devices)}")
                self._change("done", f"went on after {took:.1f} s")
                return
            latest = self._bus.state.run
            if latest is run:  # it did not come so far: a device was lost just then
                self._failures += 1
            elif latest is not None and latest.blamed is not None:
                blamed = latest.blamed
                if blamed.fault == "refused":
                    self._give_up("failed", blamed.text)
                    return
            else:
                if self.under_way:  # nobody stopped it, so another run would end no better
                    self._give_up("failed", reason)
                return

    async def _ask(self, blamed: ev.RunBlamed) -> bool:
        self._answer = asyncio.get_running_loop().create_future()
        self._change("asked", f"{blamed.text}. Go on without it?")
        return await self._answer

    async def _plan(self, before: Plan, blamed: ev.RunBlamed) -> Plan:
        """The same plan where its devices are there again in time, else one without those that are not."""
        began = time.monotonic()
        settled = SETTLED_S if blamed.fault in ("lost", "console") else 0.0
        patience = self._how.failover if blamed.fault == "console" else self._how.wait
        wanted = {device for stage in before.stages for device in stage.devices}
        while True:
            waited = time.monotonic() - began
            out = self._refused | {device for device, count in self._faults.items() if count >= TWICE}
            away = {device for device in wanted if not _ready(self._bus.state, device)}
            if waited >= settled and not away and not wanted & out:
                return before
            if waited >= settled and (not away or waited >= patience):
                try:
                    return await self._make(out | away)
                except PlanError:
                    if waited > (self._how.failover if away else FRESH_S):
                        raise
            recovery = self._bus.state.recovery
            if away and recovery is not None and recovery.stage != "waiting":
                self._change("waiting", f"waiting for {', '.join(sorted(away))} to come back")
            await asyncio.sleep(LOOK_S)

    def _forgive(self) -> None:
        """Whatever failed, a person launches the next run, and may have mended it."""
        self._refused.clear()
        self._faults.clear()
        self._failures = 0
        self._without.clear()
        self._back.clear()

    def _give_up(self, stage: ev.RecoveryStage, text: str) -> None:
        self._forgive()
        self._say("error" if stage == "failed" else "warning", "recovery", text)
        self._change(stage, text)
        self._queue.end("error", text)

    def _change(self, stage: ev.RecoveryStage, text: str) -> None:
        self._bus.publish(ev.RecoveryChanged(t=time.time(), stage=stage, text=text))

    def _say(self, level: ev.Level, subject: str, text: str) -> None:
        self._bus.publish(ev.Alert(t=time.time(), level=level, subject=subject, text=text))


def _ready(state: ClusterState, device: str) -> bool:
    known = state.devices.get(device)
    return known is not None and known.status == "ready" and known.sample is not None
