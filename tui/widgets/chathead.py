"""The line above a conversation: its title, how it is held, and how full its context is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content

from core.conversations.manner import Manner
from core.conversations.summary import titled
from core.request import Sampling
from core.state import ClusterState
from tui.widgets.cells import Cell, fit, line
from tui.widgets.exchange import context
from tui.widgets.figures import bar
from tui.widgets.rows import StateRows

NEARLY = 0.8
"""Share of the context from which it is said to fill up."""


def used(state: ClusterState) -> int:
    """Tokens of the conversation: as the worker counted them for the last answer, prompt and all."""
    for id_ in reversed(state.conversations.get(state.conversation, ())):
        request = state.requests[id_]
        if request.done is not None and request.done.prompt_tokens:
            return request.done.prompt_tokens + request.done.tokens
        if request.prefill_total:
            return request.prefill_total + len(request.ids)
    return 0


def meter(state: ClusterState) -> Cell:
    """How much of the context is used."""
    limit, tokens = context(state), used(state)
    if not limit:
        return ("", "")
    share = tokens / limit
    tone = "$text-error" if share >= 1 else "$text-warning" if share >= NEARLY else "$muted"
    return (f"context {bar(share, 6)} {tokens}/{limit}", tone)


def held(manner: Manner) -> str:
    """What of the manner differs from what nobody has to be told."""
    chosen, usual = manner.sampling, Sampling()
    parts = ["system prompt"] if manner.system else []
    if chosen.temperature != usual.temperature:
        parts.append(f"temp {chosen.temperature:g}")
    others = (
        "top_p",
        "top_k",
        "min_p",
        "repetition_penalty",
        "presence_penalty",
        "frequency_penalty",
        "seed",
    )
    if any(getattr(chosen, name) != getattr(usual, name) for name in others):
        parts.append("sampling")
    return " · ".join(parts)


class ChatHead(StateRows):
    """The title gives way to the figures."""

    def rows(self, state: ClusterState, width: int) -> Sequence[Content]:
        """One row."""
        manner = state.manners.get(state.conversation, Manner())
        requests = state.conversations.get(state.conversation, ())
        title = titled(manner, (state.requests[id_].prompt for id_ in requests))
        right, said = meter(state), held(manner)
        middle = f"  {said}" if said else ""
        room = width - cell_len(right[0]) - 2
        if cell_len(middle) > room - 12:
            middle = ""
        name = fit(title, max(0, room - cell_len(middle)))
        return [line((name, "bold"), (middle, "$muted"), ("  ", ""), right, width=width)]
