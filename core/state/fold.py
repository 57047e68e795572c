"""What each event makes of the state of a cluster. Live or replayed makes no difference here. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from core import events as ev
from core.bench.progress import advance
from core.state import device, link, run, talk
from core.state.cluster import ClusterState

ALERTS = 500
HANDOVERS = 64
VERDICTS = 16


def apply(state: ClusterState, event: ev.AnyEvent) -> ClusterState:
    """The state after one more event; unknown subjects are ignored."""
    state = replace(state, now=max(state.now, event.t))
    # Groups of events are unions, which a `case` cannot name.
    if isinstance(event, ev.DeviceEvent):
        return replace(state, devices=device.after(state.devices, event))
    if isinstance(event, ev.LinkEvent):
        return replace(state, links=link.after(state.links, event))
    if isinstance(event, ev.RequestEvent):
        return talk.answered(state, event)
    if isinstance(event, ev.RunBlamed):
        state = replace(state, verdicts=(*state.verdicts, event)[-VERDICTS:])
    if isinstance(event, ev.RankEvent | ev.RunEvent):
        return replace(state, run=run.after(state.run, event))
    if isinstance(event, ev.ConversationEvent):
        return talk.turned(state, event)
    if isinstance(event, ev.PlanEvent):
        return _plan(state, event)
    if isinstance(event, ev.BenchEvent):
        return replace(state, bench=advance(state.bench, event))
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
        case ev.CablesSeen():
            return replace(state, cables=event.cables)
        case ev.TrustAsked():
            return replace(state, questions={**state.questions, event.device: event})
        case ev.TrustAnswered():
            return replace(state, questions={k: q for k, q in state.questions.items() if k != event.device})
        case ev.HandoverMeasured():
            return replace(state, handovers=(*state.handovers, event)[-HANDOVERS:])
        case ev.ModelChosen():
            if state.model == event.spec:
                return state
            # No plan is for another model than this.
            return replace(state, model=event.spec, plan=None, auto=None, by_hand=False, plan_failure="")
        case ev.RunStarted():
            return replace(state, run=run.begun(event))
        case ev.RequestStarted():
            return talk.asked(state, event)
        case ev.QueueOrdered():
            return replace(state, order=event.requests)
        case ev.ApiServed():
            return replace(state, api=event if event.url else None)
        case ev.RecoveryChanged():
            return replace(state, recovery=event)
        case ev.Alert():
            return replace(state, alerts=(*state.alerts, event)[-ALERTS:])
        case ev.FaultInjected():
            return replace(state, faults=(*state.faults, event))
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


def _plan(state: ClusterState, event: ev.PlanEvent) -> ClusterState:
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
