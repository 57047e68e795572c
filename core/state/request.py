"""A prompt and its answer, and what events make of it. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from core import events as ev
from core.request import Source

RequestStatus = Literal["waiting", "prefill", "decode", "done"]


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


def recalled(exchange: ev.Exchange, conversation: str) -> Request:
    """A request of a conversation that was read back."""
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


def after(request: Request, event: ev.RequestEvent) -> Request:
    """The request after one more event."""
    match event:
        case ev.PrefillProgressed():
            return replace(request, status="prefill", prefilled=event.done, prefill_total=event.total)
        case ev.TokensStreamed():
            return replace(
                request,
                status="decode",
                first=request.first or event.t,
                ids=request.ids + event.ids,
                text=request.text + event.text,
                thought=request.thought + event.thought,
            )
        case ev.RankTimed():
            return replace(request, ranks={**request.ranks, event.rank: event})
        case ev.RequestHeld():
            return replace(request, status="waiting", prefilled=0, ranks={}, held=request.held + 1, done=None)
        case ev.RequestDone():
            return replace(request, status="done", done=event)
