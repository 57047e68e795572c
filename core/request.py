"""What is asked of the model: a prompt, and how the tokens of its answer are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from core.text import clean_line

Source = Literal["chat", "api", "bench"]
"""Who asks: the console's conversation, a client of the API, or a benchmark."""


class NotTaken(Exception):
    """A request is refused before anything was done for it."""


class QueueFull(NotTaken):
    """So many requests wait and run already that another one would wait too long."""


class Turn(msgspec.Struct, frozen=True):
    """A message of the conversation so far."""

    role: Literal["user", "assistant", "system"]
    content: str


class Prompt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to answer: one of the first three."""

    messages: Sequence[Turn | Mapping[str, object]] | None = None
    """For the model's chat template, which may know more fields than a `Turn` has."""
    prompt: str | None = None
    tokens: Sequence[int] | None = None
    tools: Sequence[Mapping[str, object]] = ()
    """JSON schemas of functions, for the chat template; calls of them are parsed out of the answer."""
    parts: bool = False
    """Tell what the model thinks and the tools it calls from what it says."""

    @property
    def excerpt(self) -> str:
        """The end of it on one line, as a person recognises it."""
        if self.messages:
            last = self.messages[-1]
            text = last.content if isinstance(last, Turn) else str(last.get("content") or "")
        else:
            text = self.prompt if self.prompt is not None else f"{len(self.tokens or ())} tokens"
        return clean_line(text, 200)


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How the last rank chooses a token. Temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[int, float] = {}
    seed: int | None = None
    logprobs: int | None = None
    """Report the log probability of each token, and of so many likeliest ones."""
    stop: tuple[str, ...] = ()
    """Strings that end the answer and are no part of it."""
    ignore_eos: bool = False
    max_tokens: int = 512
    chunk: int = 128
    """Prompt tokens of one prefill step; smaller steps overlap better across stages."""
