"""What the model is told of a conversation."""

from __future__ import annotations

from core.conversations.manner import Manner
from core.request import Turn
from core.state import ClusterState


def turns(state: ClusterState, request: str) -> list[Turn]:
    """The conversation of a request up to it: the system prompt if there is one, every prompt, and of each
    earlier answer what there is. What the model thought is not told again.

    A prompt without an answer is told with the next one: many chat templates want the two sides in turn.
    """
    conversation = state.requests[request].conversation
    system = state.manners.get(conversation, Manner()).system
    told = [Turn("system", system)] if system else []
    for id_ in state.conversations[conversation]:
        known = state.requests[id_]
        if told and told[-1].role == "user":
            told[-1] = Turn("user", f"{told[-1].content}\n\n{known.prompt}")
        else:
            told.append(Turn("user", known.prompt))
        if id_ == request:
            break
        if known.text:
            told.append(Turn("assistant", known.text))
    return told
