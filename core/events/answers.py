"""Conversations, and requests from the prompt to the last token."""

from __future__ import annotations

from typing import Literal

import msgspec

from core.conversations.manner import Manner
from core.events.base import Event
from core.request import Source

DoneReason = Literal["stop", "length", "cancel", "error"]


class ConversationStarted(Event, frozen=True, kw_only=True):
    """A new, empty conversation, which is the one shown from here."""

    conversation: str
    manner: Manner = Manner()


class ConversationTuned(Event, frozen=True, kw_only=True):
    """The user changed how a conversation is held."""

    conversation: str
    manner: Manner


class ConversationClosed(Event, frozen=True, kw_only=True):
    """A conversation is no longer in memory: it is kept on disk, or was deleted."""

    conversation: str


class RequestStarted(Event, frozen=True, kw_only=True):
    """A prompt was handed to the model, or waits for it to be ready.

    Only the chat's requests are part of a conversation; of the others `prompt` is an excerpt.
    """

    request: str
    conversation: str
    prompt: str
    source: Source = "chat"
    replaces: str = ""
    """A request of the conversation that is gone from it now, with all that came after it."""


class RequestHeld(Event, frozen=True, kw_only=True):
    """The run that answered is gone, or the console with it; what there is of the answer is kept, to go on
    with it in another."""

    request: str


class QueueOrdered(Event, frozen=True, kw_only=True):
    """Requests that wait are to be answered in this order, before any that comes later."""

    requests: tuple[str, ...]


class ApiServed(Event, frozen=True, kw_only=True):
    """Programs of this computer can use the model at `url`; empty: no longer."""

    url: str = ""
    token: bool = False
    """They need the token, which is in no event: events are recorded."""


class PrefillProgressed(Event, frozen=True, kw_only=True):
    """`done` of `total` prompt tokens are in the KV cache."""

    request: str
    done: int
    total: int


class ToolCall(msgspec.Struct, frozen=True):
    """A function the model wants called. `arguments` is a JSON object, `id` is the model's if it gave one."""

    name: str
    arguments: str
    id: str = ""


class Likely(msgspec.Struct, frozen=True, array_like=True):
    """A token that might have come, and the logarithm of its probability."""

    id: int
    logprob: float
    text: str


class TokensStreamed(Event, frozen=True, kw_only=True):
    """New tokens of an answer, and the text they complete (may be empty inside a character)."""

    request: str
    ids: tuple[int, ...]
    text: str
    raw: str = ""
    """As the model wrote it, where `text` is not the same. For programs: no screen may show it."""
    thought: str = ""
    """Text, too, but of the model's reasoning, where the request wants it told apart."""
    calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[Likely, ...] | None = None
    """Of the token, then of the likeliest ones, where the request wants them."""


class RankTimed(Event, frozen=True, kw_only=True):
    """Where one rank's time went during a request. `merged` of its steps served other requests as well.

    `wait_s` is for neighbours; `send_s` of it was spent handing over to one, until the network took it all.
    `decode_s` of the computing, in `decode_steps`, was for its tokens, the rest for its prompt; None where
    that was not told.
    """

    request: str
    rank: int
    compute_s: float
    wait_s: float
    steps: int
    peak: int
    merged: int = 0
    send_s: float = 0.0
    decode_s: float | None = None
    decode_steps: int = 0


class RequestDone(Event, frozen=True, kw_only=True):
    """An answer is complete, was stopped, or failed.

    TTFT runs from the request's arrival at rank 0 to its first sampled token; `prefill_tps` counts
    only tokens not taken from the cache; `decode_tps` counts tokens after the first.
    """

    request: str
    why: DoneReason
    detail: str = ""
    prompt_tokens: int = 0
    reused_tokens: int = 0
    tokens: int = 0
    ttft_s: float | None = None
    prefill_tps: float | None = None
    decode_tps: float | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A prompt of a conversation and what came of it."""

    request: str
    prompt: str
    started: float
    text: str = ""
    thought: str = ""
    ids: tuple[int, ...] = ()
    """Tokens of an answer without an end, from which it can be continued; of ended ones they are not kept."""
    model: str = ""
    """Name of the model whose tokens they are."""
    done: RequestDone | None = None


class ConversationOpened(Event, frozen=True, kw_only=True):
    """A conversation of earlier is the one shown from here."""

    conversation: str
    manner: Manner = Manner()
    exchanges: tuple[Exchange, ...] = ()
    """What was said in it, where it was not in memory."""


ConversationEvent = ConversationStarted | ConversationOpened | ConversationTuned | ConversationClosed

RequestEvent = PrefillProgressed | TokensStreamed | RankTimed | RequestDone | RequestHeld
