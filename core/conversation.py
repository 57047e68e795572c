"""What the model is told of a conversation."""

from __future__ import annotations

from core.request import Turn
from core.state import ClusterState


def turns(state: ClusterState, request: str) -> list[Turn]:
    """The conversation of a request up to it: every prompt, and of each earlier answer what there is."""
    told: list[Turn] = []
    for id_ in state.conversations[state.requests[request].conversation]:
        known = state.requests[id_]
        told.append(Turn("user", known.prompt))
        if id_ == request:
            break
        if known.text:
            told.append(Turn("assistant", known.text))
    return told
