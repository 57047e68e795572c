"""The state of a cluster: a pure fold over events. Live or replayed makes no difference here."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import asdict, replace

from core import events as ev
from core.bench.progress import Progress, advance
from core.conversations.manner import Manner
from core.models.spec import ModelSpec
from core.options import Options
from core.plan.check import Certificate
from core.plan.plan import Plan, Tuning
from core.request import Source
from core.series import Series
from core.wiring import Cable, Wiring

THIS_MACHINE = "this-machine"
"""What this computer is called as a device of the cluster."""

LOG_LINES = 200
ALERTS = 500
HANDOVERS = 64
LANES = 16
"""Paths of a link that are kept."""
ANSWERED = 64
"""Requests kept after their end, of those that belong to no conversation."""

RequestStatus = Literal["waiting", "prefill", "decode", "done"]


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device of the cluster as last heard of."""

    id: str
    name: str
    address: str
    status: ev.DeviceStatus
    detail: str = ""
    peer: str = ""
    trouble: ev.Check | None = None
    """The step of getting in that failed last."""
    facts: ev.DeviceFacts | None = None
    sample: ev.DeviceSample | None = None
    memory: Series = Series()
    """Memory in use, bytes."""
    tuning: Tuning | None = None
    wiring: Wiring | None = None
    kept: ev.DeviceKept | None = None
    gaps: dict[str, str] = {}
    """What cannot be known about it, and why."""
    checked: ev.DeviceChecked | None = None
    reached: tuple[ev.Check, ...] = ()
    """The ways to and from each other device."""
    provisioned: ev.DeviceProvisioned | None = None
    exo: str = ""
    """Id of the exo node that answers there, if one does."""


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One of the paths of a link."""

    last: ev.LinkMeasured | None = None
    failure: str = ""
    p50: Series = Series()
    """Round trip in microseconds, median of a burst."""
    p99: Series = Series()
    loaded: ev.BandwidthMeasured | None = None
    rate: Series = Series()
    """Bytes a second, of the slower direction."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured from one device to another: of the path in use, and of each path there is."""

    source: str
    target: str
    lanes: dict[str, Lane] = {}
    """By address at the target."""
    in_use: str = ""
    """That of the path in use; empty while none was chosen, and the last one measured counts."""
    last: ev.LinkMeasured | None = None
    failure: str = ""
    p50: Series = Series()
    """Round trip in microseconds, median of a burst, over whichever path was in use."""
    p99: Series = Series()

    @property
    def lane(self) -> Lane:
        """The path in use."""
        return self.lanes.get(self.in_use or (self.last.address if self.last else ""), Lane())


class Rank(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process."""

    rank: int
    device: str
    start: int
    end: int
    stage: int = 0
    """Place of its stage in the plan."""
    part: int = 0
    parts: int = 1
    """In a tensor group it holds share `part` of `parts` of every layer."""
    phase: ev.Phase = "starting"
    done: int = 0
    total: int = 0
    hello: ev.RankHello | None = None
    loaded: ev.RankLoaded | None = None
    beat: ev.RankBeat | None = None
    exit: ev.RankExited | None = None
    compute: Series = Series()
    """Share of each request's time spent computing rather than waiting for neighbours."""
    log: tuple[str, ...] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A launched plan, from its first worker to its last."""

    id: str
    plan: Plan
    started: float
    ranks: tuple[Rank, ...]
    options: Options = Options()
    ready: ev.RunReady | None = None
    stopped: ev.RunStopped | None = None
    blamed: ev.RunBlamed | None = None

    @property
    def certificate(self) -> Certificate | None:
        """Proof of what the ranks hold, once all of them are ready."""
        return self.ready.certificate if self.ready else None

    @property
    def live(self) -> bool:
        """Some worker may still be alive."""
        return self.stopped is None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt to its end."""

    id: str
    conversation: str
    prompt: str
    started: float
    source: Source = "chat"
    status: RequestStatus = "waiting"
    prefilled: int = 0
    prefill_total: int = 0
    first: float = 0.0
    """When its first token came."""
    ids: tuple[int, ...] = ()
    model: str = ""
    """Name of the model whose tokens these are."""
    text: str = ""
    thought: str = ""
    """What the model thought before it said `text`, where the two can be told apart."""
    ranks: dict[int, ev.RankTimed] = {}
    done: ev.RequestDone | None = None
    held: int = 0
    """How often it has outlived its run."""


class ClusterState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the screen shows."""

    now: float = 0.0
    """Time of the newest event."""
    peers: dict[str, ev.PeerSeen] = {}
    heard: dict[str, float] = {}
    """When announced peers last answered, by key."""
    silence: tuple[ev.Cause, ...] | None = None
    """Why the network shows nobody, empty when it shows somebody; None before that is known."""
    devices: dict[str, Device] = {}
    links: dict[str, Link] = {}
    """By `source→target`."""
    cables: tuple[Cable, ...] = ()
    handovers: tuple[ev.HandoverMeasured, ...] = ()
    """The last that were measured."""
    questions: dict[str, ev.TrustAsked] = {}
    """Host keys that wait for the user's answer, by device."""
    model: ModelSpec | None = None
    plan: Plan | None = None
    """What a launch would use now."""
    by_hand: bool = False
    """`plan` was chosen by a person and stays; else it is the planner's."""
    auto: Plan | None = None
    """The planner's plan, also while another one is used."""
    plan_failure: str = ""
    """Why the planner has none."""
    run: Run | None = None
    recovery: ev.RecoveryChanged | None = None
    requests: dict[str, Request] = {}
    order: tuple[str, ...] = ()
    """Requests that were waiting when they were put in an order, in that order."""
    api: ev.ApiServed | None = None
    """Where the console serves the API, while it does."""
    conversation: str = ""
    conversations: dict[str, tuple[str, ...]] = {}
    """Requests of each conversation, oldest first."""
    manners: dict[str, Manner] = {}
    """How each of them is held."""
    decode: Series = Series()
    """Tokens a second over the last tick; a gap when nothing is being decoded."""
    prefill: Series = Series()
    counted: int = 0
    """Tokens streamed since the last tick."""
    prefilled: int = 0
    """Prompt tokens prefilled since the last tick."""
    ticked: float = 0.0
    alerts: tuple[ev.Alert, ...] = ()
    faults: tuple[ev.FaultInjected, ...] = ()
    bench: Progress | None = None
    """The suite being measured, or the last one that was."""
    recording: str = ""
    """The file events go to, if they do."""

    @property
    def recovering(self) -> bool:
        """A run has failed, and another one is to go on with its answers."""
        over = ("done", "declined", "failed")
        return self.recovery is not None and self.recovery.stage not in over

    @property
    def open(self) -> tuple[Request, ...]:
        """Every request without its end, oldest first."""
        return tuple(r for r in self.requests.values() if r.done is None)

    @property
    def queue(self) -> tuple[Request, ...]:
        """The open requests as they are and will be answered: at work, moved by hand, the oldest first."""
        places = {request: place for place, request in enumerate(self.order)}

        def turn(request: Request) -> int:
            return -1 if request.status != "waiting" else places.get(request.id, len(places))

        return tuple(sorted(self.open, key=turn))

    @property
    def active(self) -> Request | None:
        """The conversation's request being worked on, or the oldest that waits."""
        return next((r for r in self.open if r.source == "chat"), None)


def link_key(source: str, target: str) -> str:
    """Key of a link in `ClusterState.links`."""
    return f"{source}→{target}"


def apply(state: ClusterState, event: ev.AnyEvent) -> ClusterState:
    """The state after one more event. Pure; unknown subjects are ignored."""
    state = replace(state, now=max(state.now, event.t))
    match event:
        case ev.Tick():
            return _ticked(state, event)
        case ev.PeerSeen():
            return replace(state, peers={**state.peers, event.key: event})
        case ev.PeerLost():
            return replace(
                state,
                peers={k: p for k, p in state.peers.items() if k != event.key},
                heard={k: t for k, t in state.heard.items() if k != event.key},
            )
        case ev.PeersHeard():
            return replace(state, heard={**state.heard, **event.heard})
        case ev.DiscoveryLooked():
            return replace(state, silence=event.causes)
        case (
            ev.DeviceSeen()
            | ev.DeviceFacts()
            | ev.DeviceSample()
            | ev.DeviceTuned()
            | ev.DeviceWired()
            | ev.DeviceKept()
            | ev.DeviceGaps()
            | ev.DeviceChecked()
            | ev.PathsChecked()
            | ev.DeviceProvisioned()
            | ev.ExoSeen()
        ):
            return _device(state, event)
        case ev.CablesSeen():
            return replace(state, cables=event.cables)
        case ev.TrustAsked():
            return replace(state, questions={**state.questions, event.device: event})
        case ev.TrustAnswered():
            return replace(state, questions={k: q for k, q in state.questions.items() if k != event.device})
        case ev.LinkMeasured() | ev.LinkFailed() | ev.PathChosen() | ev.BandwidthMeasured():
            return _link(state, event)
        case ev.HandoverMeasured():
            return replace(state, handovers=(*state.handovers, event)[-HANDOVERS:])
        case ev.ModelChosen():
            if state.model == event.spec:
                return state
            # No plan is for another model than this.
            return replace(state, model=event.spec, plan=None, auto=None, by_hand=False, plan_failure="")
        case ev.PlanChosen() | ev.PlanFailed() | ev.PlanTaken() | ev.PlanReleased():
            return _plan(state, event)
        case ev.RunStarted():
            ranks = tuple(Rank(rank=i, **asdict(post)) for i, post in enumerate(event.plan.posts))
            run = Run(id=event.run, plan=event.plan, started=event.t, ranks=ranks, options=event.options)
            return replace(state, run=run)
        case ev.RunReady() | ev.RunStopped() | ev.RunBlamed():
            return _run(state, event)
        case (
            ev.RankPhased()
            | ev.RankHello()
            | ev.RankLoaded()
            | ev.RankBeat()
            | ev.RankLogged()
            | ev.RankExited()
        ):
            return _rank(state, event)
        case (
            ev.ConversationStarted()
            | ev.ConversationOpened()
            | ev.ConversationTuned()
            | ev.ConversationClosed()
        ):
            return _conversation(state, event)
        case ev.RequestStarted():
            return _asked(state, event)
        case ev.QueueOrdered():
            return replace(state, order=event.requests)
        case ev.ApiServed():
            return replace(state, api=event if event.url else None)
        case (
            ev.PrefillProgressed()
            | ev.TokensStreamed()
            | ev.RankTimed()
            | ev.RequestDone()
            | ev.RequestHeld()
        ):
            return _request(state, event)
        case ev.RecoveryChanged():
            return replace(state, recovery=event)
        case ev.Alert():
            return replace(state, alerts=(*state.alerts, event)[-ALERTS:])
        case ev.FaultInjected():
            return replace(state, faults=(*state.faults, event))
        case ev.BenchStarted() | ev.TrialStarted() | ev.TrialDone() | ev.BenchPaused() | ev.BenchDone():
            return replace(state, bench=advance(state.bench, event))
        case ev.RecordingChanged():
            return replace(state, recording=event.path)


def _ticked(state: ClusterState, event: ev.Tick) -> ClusterState:
    span = event.t - state.ticked
    decoding = state.counted > 0 or any(request.status == "decode" for request in state.open)
    rate = state.counted / span if decoding and state.ticked and span > 0 else None
    filled = state.prefilled / span if state.prefilled and state.ticked and span > 0 else None
    return replace(
        state,
        ticked=event.t,
        counted=0,
        prefilled=0,
        decode=state.decode.push(event.t, rate),
        prefill=state.prefill.push(event.t, filled),
    )


def _device(
    state: ClusterState,
    event: (
        ev.DeviceSeen
        | ev.DeviceFacts
        | ev.DeviceSample
        | ev.DeviceChecked
        | ev.PathsChecked
        | ev.DeviceProvisioned
        | ev.DeviceTuned
        | ev.DeviceWired
        | ev.DeviceKept
        | ev.DeviceGaps
        | ev.ExoSeen
    ),
) -> ClusterState:
    device = state.devices.get(event.device)
    match event:
        case ev.DeviceSeen():
            if device is None:
                device = Device(id=event.device, name=event.name, address=event.address, status=event.status)
            device = replace(
                device,
                name=event.name,
                address=event.address,
                status=event.status,
                detail=event.detail,
                peer=event.peer,
                trouble=device.trouble if event.status == "connecting" else event.trouble,
            )
            if event.status != "ready" and device.memory.last is not None:
                device = replace(device, memory=device.memory.push(event.t, None))
        case _ if device is None:
            return state
        case ev.DeviceFacts():
            device = replace(device, facts=event)
        case ev.DeviceChecked():
            device = replace(device, checked=event)
        case ev.PathsChecked():
            device = replace(device, reached=event.checks)
        case ev.DeviceProvisioned():
            device = replace(device, provisioned=event)
        case ev.DeviceTuned():
            device = replace(device, tuning=event.tuning)
        case ev.DeviceWired():
            device = replace(device, wiring=event.wiring)
        case ev.DeviceKept():
            device = replace(device, kept=event)
        case ev.DeviceGaps():
            device = replace(device, gaps=event.gaps)
        case ev.ExoSeen():
            device = replace(device, exo=event.node)
        case ev.DeviceSample():
            device = replace(device, sample=event, memory=device.memory.push(event.t, event.memory_used))
    return replace(state, devices={**state.devices, device.id: device})


def _plan(
    state: ClusterState, event: ev.PlanChosen | ev.PlanFailed | ev.PlanTaken | ev.PlanReleased
) -> ClusterState:
    match event:
        case ev.PlanTaken():
            return replace(state, plan=event.plan, by_hand=True)
        case ev.PlanReleased():
            return replace(state, plan=state.auto, by_hand=False)
        case ev.PlanChosen():
            state = replace(state, auto=event.plan, plan_failure="")
        case ev.PlanFailed():
            state = replace(state, auto=None, plan_failure=event.reason)
    return state if state.by_hand else replace(state, plan=state.auto)


def _link(
    state: ClusterState, event: ev.LinkMeasured | ev.LinkFailed | ev.PathChosen | ev.BandwidthMeasured
) -> ClusterState:
    key = link_key(event.source, event.target)
    link = state.links.get(key) or Link(source=event.source, target=event.target)
    lane = link.lanes.get(event.address, Lane())
    match event:
        case ev.LinkMeasured():
            lane = replace(lane, last=event, failure="", **_pushed(lane, event.t, event.p50_us, event.p99_us))
        case ev.LinkFailed():
            lane = replace(lane, failure=event.reason, **_pushed(lane, event.t, None, None))
        case ev.BandwidthMeasured():
            slower = min((way for way in (event.there, event.back) if way is not None), default=None)
            lane = replace(lane, loaded=event, rate=lane.rate.push(event.t, slower))
        case ev.PathChosen():
            now = _pushed(link, event.t, lane.p50.last, lane.p99.last)
            link = replace(link, in_use=event.address, last=lane.last, failure=lane.failure, **now)
    if event.address:
        link = replace(link, lanes=_latest({**link.lanes, event.address: lane}, link.in_use, event.address))
    used = link.in_use in ("", event.address) or event.address == ""
    if used and isinstance(event, ev.LinkMeasured):
        link = replace(link, last=event, failure="", **_pushed(link, event.t, event.p50_us, event.p99_us))
    elif used and isinstance(event, ev.LinkFailed):
        link = replace(link, failure=event.reason, **_pushed(link, event.t, None, None))
    return replace(state, links={**state.links, key: link})


def _latest(lanes: dict[str, Lane], *kept: str) -> dict[str, Lane]:
    """Without the oldest, as addresses come and go."""
    old = [address for address in lanes if address not in kept][: max(0, len(lanes) - LANES)]
    return {address: lane for address, lane in lanes.items() if address not in old}


def _pushed(to: Lane | Link, t: float, p50: float | None, p99: float | None) -> dict[str, Series]:
    return {"p50": to.p50.push(t, p50), "p99": to.p99.push(t, p99)}


def _run(state: ClusterState, event: ev.RunReady | ev.RunStopped | ev.RunBlamed) -> ClusterState:
    run = state.run
    if run is None or run.id != event.run:
        return state
    match event:
        case ev.RunReady():
            return replace(state, run=replace(run, ready=event))
        case ev.RunStopped():
            return replace(state, run=replace(run, stopped=event))
        case ev.RunBlamed():
            return replace(state, run=replace(run, blamed=event))


def _rank(
    state: ClusterState,
    event: ev.RankPhased | ev.RankHello | ev.RankLoaded | ev.RankBeat | ev.RankLogged | ev.RankExited,
) -> ClusterState:
    run = state.run
    if run is None or run.id != event.run or not 0 <= event.rank < len(run.ranks):
        return state
    rank = run.ranks[event.rank]
    match event:
        case ev.RankPhased():
            rank = replace(rank, phase=event.phase, done=event.done, total=event.total)
        case ev.RankHello():
            rank = replace(rank, hello=event)
        case ev.RankLoaded():
            rank = replace(rank, loaded=event)
        case ev.RankBeat():
            rank = replace(rank, beat=event)
        case ev.RankLogged():
            rank = replace(rank, log=(*rank.log, event.line)[-LOG_LINES:])
        case ev.RankExited():
            rank = replace(rank, exit=event, phase="exited")
    ranks = (*run.ranks[: event.rank], rank, *run.ranks[event.rank + 1 :])
    return replace(state, run=replace(run, ranks=ranks))


def _conversation(
    state: ClusterState,
    event: ev.ConversationStarted | ev.ConversationOpened | ev.ConversationTuned | ev.ConversationClosed,
) -> ClusterState:
    id_ = event.conversation
    known = id_ in state.conversations
    match event:
        case ev.ConversationTuned():
            return replace(state, manners={**state.manners, id_: event.manner}) if known else state
        case ev.ConversationClosed():
            gone = state.conversations.get(id_, ())
            return replace(
                state,
                conversation="" if state.conversation == id_ else state.conversation,
                conversations={k: v for k, v in state.conversations.items() if k != id_},
                manners={k: v for k, v in state.manners.items() if k != id_},
                requests={k: v for k, v in state.requests.items() if k not in gone},
            )
        case ev.ConversationOpened() if known:  # what is in memory is newer than any file
            return replace(state, conversation=id_)
        case ev.ConversationOpened():
            requests = {one.request: _recalled(one, id_) for one in event.exchanges}
            state = replace(state, requests={**state.requests, **requests})
        case _:
            requests = {}
    return replace(
        state,
        conversation=id_,
        conversations={**state.conversations, id_: tuple(requests)},
        manners={**state.manners, id_: event.manner},
    )


def _recalled(exchange: ev.Exchange, conversation: str) -> Request:
    return Request(
        id=exchange.request,
        conversation=conversation,
        prompt=exchange.prompt,
        started=exchange.started,
        status="done",
        ids=exchange.ids,
        model=exchange.model,
        text=exchange.text,
        thought=exchange.thought,
        done=exchange.done,
    )


def _asked(state: ClusterState, event: ev.RequestStarted) -> ClusterState:
    request = Request(
        id=event.request,
        conversation=event.conversation,
        prompt=event.prompt,
        started=event.t,
        source=event.source,
        model=state.model.name if state.model is not None else "",
    )
    state = replace(state, requests={**state.requests, request.id: request})
    if event.source != "chat":
        return state
    before = state.conversations.get(event.conversation, ())
    if event.replaces in before:
        at = before.index(event.replaces)
        gone, before = before[at:], before[:at]
        state = replace(state, requests={k: v for k, v in state.requests.items() if k not in gone})
    asked = (*before, event.request)
    return replace(state, conversations={**state.conversations, event.conversation: asked})


def _request(
    state: ClusterState,
    event: ev.PrefillProgressed | ev.TokensStreamed | ev.RankTimed | ev.RequestDone | ev.RequestHeld,
) -> ClusterState:
    request = state.requests.get(event.request)
    if request is None:
        return state
    match event:
        case ev.PrefillProgressed():
            state = replace(state, prefilled=state.prefilled + max(0, event.done - request.prefilled))
            request = replace(request, status="prefill", prefilled=event.done, prefill_total=event.total)
        case ev.TokensStreamed():
            state = replace(state, counted=state.counted + len(event.ids))
            request = replace(
                request,
                status="decode",
                first=request.first or event.t,
                ids=request.ids + event.ids,
                text=request.text + event.text,
                thought=request.thought + event.thought,
            )
        case ev.RankTimed():
            state = _timed(state, event)
            request = replace(request, ranks={**request.ranks, event.rank: event})
        case ev.RequestHeld():
            request = replace(
                request, status="waiting", prefilled=0, ranks={}, held=request.held + 1, done=None
            )
        case ev.RequestDone():
            request = replace(request, status="done", done=event)
    return replace(state, requests=_kept({**state.requests, request.id: request}))


def _timed(state: ClusterState, event: ev.RankTimed) -> ClusterState:
    run, spent = state.run, event.compute_s + event.wait_s
    if run is None or not 0 <= event.rank < len(run.ranks) or not spent > 0:
        return state
    rank = run.ranks[event.rank]
    rank = replace(rank, compute=rank.compute.push(event.t, event.compute_s / spent))
    ranks = (*run.ranks[: event.rank], rank, *run.ranks[event.rank + 1 :])
    return replace(state, run=replace(run, ranks=ranks))


def _kept(requests: dict[str, Request]) -> dict[str, Request]:
    """Without the oldest of the answered requests that nobody will look at again."""
    answered = [r.id for r in requests.values() if r.source != "chat" and r.done is not None]
    for id_ in answered[:-ANSWERED]:
        del requests[id_]
    return requests
