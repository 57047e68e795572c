"""The live cluster: wires discovery, devices, links and the run together, and carries out intents."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Collection, Coroutine
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, get_args

from msgspec.structs import replace

from core import events as ev
from core import exo
from core.bench.session import Benches
from core.bench.suite import Suite
from core.bus import Bus
from core.cabling import Cabling
from core.circumstances import hosts, wires
from core.config import Config
from core.conversations.archive import Archive
from core.conversations.manner import Manner
from core.conversations.turns import turns
from core.enlisting import finder
from core.faults import chaos, inject
from core.handmade import Handmade
from core.handovers import Handovers
from core.intents import FaultKind, why_not_ask, why_not_launch, why_not_measure, why_not_resume
from core.joining import Wanted
from core.library import Library
from core.membership import Membership
from core.models.spec import ModelSpec
from core.plan.memory import crowded, room
from core.plan.plan import Plan
from core.plan.propose import priced
from core.planner import Planner
from core.probe.message import Read
from core.rehearsal.rehearsal import Rehearsal
from core.remote.machine import Machine
from core.request import NotTaken, Prompt, QueueFull, Sampling, Source
from core.routes import Routes
from core.run.aftermath import Aftermath
from core.run.launch import LaunchError, Run
from core.run.queue import Asked, Queue
from core.run.recover import Recovery
from core.run.watch import Limits
from core.serving import Serving
from core.session.record import Recorder
from core.session.recordings import Recordings
from core.shelf import Shelf
from core.survey import Survey
from core.text import clean, clean_line
from core.wish import Wish

QUEUE = 64
"""Requests that may wait or run at a time; the next one is refused."""

LONGEST_PROMPT = 2**22
"""Characters."""


class Cluster:
    """Everything between the bus and the machines. See `core.intents.Intents` for what can be asked."""

    def __init__(
        self,
        bus: Bus,
        config: Config,
        *,
        spec: ModelSpec | None = None,
        wish: Wish | None = None,
        sampling: Sampling | None = None,
        rehearsal: Rehearsal | None = None,
        recorder: Recorder | None = None,
        conversations: Path | None = None,
    ) -> None:
        """Conversations are kept in the folder `conversations`, if there is one."""
        self.bus = bus
        self.run: Run | None = None
        self._config = config
        self._spec = spec
        self.conversations = Archive(bus, conversations, sampling or Sampling())
        self._rehearsal = rehearsal
        self._recordings = Recordings(bus, recorder)
        self.shelf = Shelf(config.folder / "plans")
        self._benches = Benches(self, self.shelf)
        self._finder = finder(config, rehearsal, self._heard)
        self._tasks: set[asyncio.Task[None]] = set()
        self._membership = Membership(bus, config, rehearsal, self._spawn)
        members = self._membership.members
        wish = replace(wish or Wish(everywhere=rehearsal is not None), tunnel=config.run.tunnel)
        learnt = None if rehearsal else config.cache / "devices.json"
        self._cabling = Cabling(bus)
        self._routes = Routes(bus)
        self._survey = Survey(members, bus)
        self._handovers = Handovers(bus, members, self._survey.turn, config.run)
        self._lapping: asyncio.Task[None] | None = None
        self._planner = Planner(bus, spec, wish, learnt)
        self._handmade = Handmade(bus)
        self._serving = Serving(self)
        self.library = Library(bus, config, wish, members)
        self._launching: asyncio.Task[None] | None = None
        self._queue = Queue(bus)
        self._aftermath = Aftermath(bus, self._membership.machine)
        self._recovery = Recovery(bus, self._queue, config.recover, self._spare, self._bring_up)

    @property
    def faults(self) -> tuple[FaultKind, ...]:
        return get_args(FaultKind) if self._rehearsal else ()

    @property
    def rehearsed(self) -> bool:
        """The devices are rehearsed, on this machine."""
        return self._rehearsal is not None

    @property
    def expected(self) -> int:
        """How many devices are to be in the cluster, as far as it is known from the start."""
        if self._rehearsal is not None:
            return len(self._rehearsal.ports)
        return len(self._config.devices) + self._config.local

    async def start(self) -> None:
        """Browse, connect to the configured devices, measure. Raises RehearsalError."""
        self.bus.subscribe(self._consider)
        self._recordings.announce()
        self._spawn(self._tick())
        if self._spec is not None:
            self.bus.publish(ev.ModelChosen(t=time.time(), spec=self._spec))
        self.conversations.start()
        if self._rehearsal is not None:
            await self._rehearsal.start()
        else:
            self._membership.join_configured()
            self._spawn(exo.watch(self._membership.members, self.bus))
        await self._finder.start()
        self._spawn(self._survey.run())

    # Devices

    def _heard(self, event: ev.AnyEvent) -> None:
        self.bus.publish(event)
        self._membership.heard(event)

    @property
    def reads(self) -> dict[str, tuple[Read, ...]]:
        """What each device's sources said last, word for word."""
        return self._membership.reads

    def add(self, peer: ev.PeerSeen, wanted: Wanted) -> None:
        self._membership.add(peer, wanted)

    def trust(self, device: str, accepted: bool) -> None:
        self._membership.trust(device, accepted)

    def provision(self, device: str) -> None:
        self._membership.provision(device)

    def unprovision(self, device: str) -> None:
        self._membership.unprovision(device)

    def measure(self, device: str) -> None:
        if reason := why_not_measure(self.bus.state, device):
            self._alert("warning", "bandwidth", reason)
        else:
            self._spawn(self._survey.load(device))

    def lap(self) -> None:
        if all(task is None or task.done() for task in (self._lapping, self._launching)):
            self._lapping = self._spawn(self._handovers.measure())

    async def measured(self) -> None:
        """Measure what every path carries; returns when that is done."""
        await self._survey.load()

    # The plan

    def _consider(self, event: ev.AnyEvent) -> None:
        self._cabling.consider(event)
        self._routes.consider(event)
        self._queue.consider(event)
        self._recovery.consider(event)
        self._aftermath.consider(event)
        self._planner.consider(event)
        self._handmade.consider(event)
        if isinstance(event, ev.ModelChosen):
            self._serving.consider(event.spec.name)

    def take(self, plan: Plan) -> None:
        self._handmade.take(plan)

    def automatic(self) -> None:
        self._handmade.release()

    async def planned(self) -> None:
        """Return once the plan is the one for the devices as they are."""
        await self._planner.settled()

    # The run

    def launch(self) -> None:
        under_way = self._launching is not None and not self._launching.done()
        if reason := why_not_launch(self.bus.state):
            self._alert("warning", "launch", reason)
            if self._idle and not under_way:  # a prompt may have waited for it
                self._queue.end("error", reason)
        elif not under_way:
            self.run = None
            self._launching = self._spawn(self._launch())
        elif self.run is not None:  # stopped, and the launch of it has yet to notice
            self.relaunch()

    async def _launch(self) -> None:
        plan = self.bus.state.plan
        assert plan is not None
        if self._lapping is not None:
            self._lapping.cancel()
            await asyncio.wait({self._lapping})
        try:
            await self._bring_up(plan)
        except LaunchError as error:  # said by then
            if self.run is None:  # else what ends with the run has ended, and what there is came after it
                self._queue.end("error", str(error))

    async def _bring_up(self, plan: Plan) -> None:
        """Launch a plan and put it to work. Raises LaunchError."""
        spec = self.bus.state.model
        assert spec is not None
        machines: dict[str, Machine] = {}
        for post in plan.posts:
            machine = self._membership.machine(post.device)
            if machine is None:
                reason = f"{post.device} was lost"
                self._alert("error", "launch", reason)
                raise LaunchError(reason)
            machines[post.device] = machine
        watch = self._config.watch
        limits = Limits(beat=watch.beat, silent=watch.silent)
        options, joined, there = self._config.run, wires(self.bus.state), hosts(self.bus.state)
        free = room(spec, plan, there)
        if not (self._recovery.under_way and plan.tokens):  # then not all samples are without the failed run
            plan = crowded(spec, plan, there, dequantised=options.dequantise)
        again = partial(priced, spec, there, joined)
        self.run = Run(plan, spec, machines, self.bus.publish, limits, joined, options, free, again)
        await self.run.start()
        self._queue.put_all(self.run)
        self._spawn(self.run.watch())

    async def _spare(self, without: Collection[str]) -> Plan:
        return await self._planner.spare(without)

    def relaunch(self) -> None:
        self._spawn(self._relaunch())

    async def _relaunch(self) -> None:
        run = self.bus.state.run
        if self.run is not None and run is not None and run.live:
            await self.run.stop("another plan was launched")
        if self.run is not None and self._launching is not None:
            # It has the last word on the run it started.
            await asyncio.wait({self._launching})
        if not self.bus.state.by_hand:
            await self._planner.settled()
        self.launch()

    def stop(self) -> None:
        self._recovery.stop()
        if self.run is not None:
            self._spawn(self.run.stop("you stopped it"))

    def recover(self, accepted: bool) -> None:
        self._recovery.answer(accepted)

    # Requests

    def ask(self, prompt: str, replaces: str = "") -> None:
        state = self.bus.state
        if reason := why_not_ask(state):
            self._alert("warning", "chat", reason)
            return
        request = secrets.token_hex(4)
        self.bus.publish(
            ev.RequestStarted(
                t=time.time(),
                request=request,
                conversation=state.conversation,
                prompt=clean(prompt, LONGEST_PROMPT),
                replaces=replaces,
            )
        )
        self._to_model(request)

    def resume(self, request: str) -> None:
        if reason := why_not_resume(self.bus.state, request):
            self._alert("warning", "chat", reason)
            return
        self._queue.reopen(request)
        self._to_model(request)

    def _to_model(self, request: str) -> None:
        """Have a request of the chat answered, by the run there is or one to be launched."""
        state, ending = self.bus.state, self._ending
        manner = state.manners.get(state.requests[request].conversation, Manner())
        prompt = Prompt(messages=turns(state, request), parts=True)
        self._queue.add(request, Asked(prompt, manner.sampling, ending))
        if self._ready is not None:
            self._queue.put(request, self._ready)
        elif ending and not state.recovering:
            self.relaunch()
        elif self._idle:
            self.launch()

    @property
    def _idle(self) -> bool:
        """There is no run, nor is one to come in place of one that failed."""
        state = self.bus.state
        return not state.recovering and (state.run is None or not state.run.live)

    @property
    def _ready(self) -> Run | None:
        """The run, if it takes requests."""
        run = self.bus.state.run
        return self.run if run is not None and run.live and run.ready and not self._ending else None

    @property
    def _ending(self) -> str:
        """The run that is being stopped, which can take as long as a rank hangs."""
        run = self.run
        return run.id if run is not None and run.stopping and not self._idle else ""

    def submit(self, prompt: Prompt, sampling: Sampling, source: Source) -> str:
        """Put a request to the model beside the conversation; returns its id. Raises NotTaken."""
        state = self.bus.state
        if self._ready is None and not state.recovering:
            raise NotTaken("the model is not running")
        if len(state.open) >= QUEUE:
            raise QueueFull(f"{QUEUE} requests wait or run already")
        request = secrets.token_hex(8)
        self.bus.publish(
            ev.RequestStarted(
                t=time.time(), request=request, conversation="", prompt=prompt.excerpt, source=source
            )
        )
        self._queue.add(request, Asked(prompt, sampling))
        if self._ready is not None:
            self._queue.put(request, self._ready)
        return request

    def reorder(self, request: str, step: int) -> None:
        waiting = [one.id for one in self.bus.state.queue if one.status == "waiting"]
        if request not in waiting or self.run is None:
            return
        at = waiting.index(request)
        waiting.insert(max(0, at + step), waiting.pop(at))
        self.bus.publish(ev.QueueOrdered(t=time.time(), requests=tuple(waiting)))
        self.run.order(waiting)

    def serve(self) -> None:
        if self._serving.on:
            self._serving.end()
        elif (model := self.bus.state.model) is not None:
            self._spawn(self._serving.run(model.name))
        else:
            self._alert("warning", "api", "there is no model to serve yet")

    def withdraw(self, request: str) -> None:
        """End the answer to one request, whoever asked for it."""
        self._queue.withdraw(request, self.run)

    def cancel(self) -> None:
        active = self.bus.state.active
        if active is not None:
            self.withdraw(active.id)

    # Recordings and suites

    def record(self) -> None:
        if self._recordings.active:
            self._recordings.end()
        else:
            self._recordings.begin("session")

    def bench(self, suite: Suite) -> None:
        self._spawn(self._bench(suite))

    async def _bench(self, suite: Suite) -> None:
        own = not self._recordings.active
        self._recordings.begin(f"bench-{suite.name}")
        try:
            await self._benches.run(suite)
        finally:
            if own:
                self._recordings.end()

    def pause_bench(self, paused: bool) -> None:
        self._benches.pause(paused)

    def abort_bench(self) -> None:
        self._benches.abort()

    # Faults

    def inject(self, kind: FaultKind, device: str) -> None:
        if self._rehearsal is not None:
            self._spawn(inject(kind, device, self._rehearsal, self.bus))

    def disturb(self) -> None:
        """Break something every now and then, in a rehearsal."""
        if self._rehearsal is not None:
            self._spawn(chaos(self._rehearsal, self.bus, Random()))

    # Life

    async def close(self) -> None:
        """Stop everything that was started; returns when nothing is left alive."""
        # First: it would launch its next plan when it finds the run ended.
        await self._benches.close()
        if self._launching is not None and not self._launching.done() and self.run is None:
            self._launching.cancel()
        await self._recovery.close()
        self._aftermath.close()
        if self.run is not None:
            await self.run.stop("the console was closed")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._planner.close()
        await self.library.close()
        await self._handmade.close()
        await self._finder.close()
        await self.conversations.close()
        if self._rehearsal is not None:
            await self._rehearsal.close()
        self._recordings.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.bus.publish(ev.Tick(t=time.time()))

    def _alert(self, level: ev.Level, subject: str, text: str) -> None:
        self.bus.publish(ev.Alert(t=time.time(), level=level, subject=subject, text=text))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A defect of ours. Whoever waits for what the task was to do should at least read about it.
            self._alert("error", "console", clean_line(f"{type(error).__name__}: {error}"))
