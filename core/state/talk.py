"""Conversations and the requests in them. Pure."""

from __future__ import annotations

from operator import itemgetter

from msgspec.structs import replace

from core import events as ev
from core.state import run
from core.state.cluster import ClusterState
from core.state.request import Request, after, recalled

ANSWERED = 64
"""Requests kept after their end, of those that belong to no conversation."""


def turned(state: ClusterState, event: ev.ConversationEvent) -> ClusterState:
    """The state after one more event about a conversation."""
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
            requests = {one.request: recalled(one, id_) for one in event.exchanges}
            state = replace(state, requests={**state.requests, **requests})
        case _:
            requests = {}
    return replace(
        state,
        conversation=id_,
        conversations={**state.conversations, id_: tuple(requests)},
        manners={**state.manners, id_: event.manner},
    )


def asked(state: ClusterState, event: ev.RequestStarted) -> ClusterState:
    """The state with one more request."""
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
    now = (*before, event.request)
    return replace(state, conversations={**state.conversations, event.conversation: now})


def answered(state: ClusterState, event: ev.RequestEvent) -> ClusterState:
    """The state after one more event about a request."""
    request = state.requests.get(event.request)
    if request is None:
        return state
    match event:
        case ev.PrefillProgressed():
            state = replace(state, prefilled=state.prefilled + max(0, event.done - request.prefilled))
        case ev.TokensStreamed():
            state = replace(state, counted=state.counted + len(event.ids))
        case ev.RankTimed():
            state = replace(state, run=run.timed(state.run, event))
        case _:
            pass
    return replace(state, requests=_kept({**state.requests, request.id: after(request, event)}))


def _kept(requests: dict[str, Request]) -> dict[str, Request]:
    """Without the first to end of the answered requests that nobody will look at again."""
    over = [(r.done.t, r.id) for r in requests.values() if r.source != "chat" and r.done is not None]
    for _, id_ in sorted(over, key=itemgetter(0))[:-ANSWERED]:
        del requests[id_]
    return requests
