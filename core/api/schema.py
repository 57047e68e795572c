"""What a client may ask for, checked before anything is done with it.

Fields of OpenAI's API and of its extensions elsewhere (`top_k`, `min_p`, `repetition_penalty`). Fields not
named here are ignored, as clients send what only other servers know; one that is named and cannot be heeded
is refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from core.api.errors import ApiError
from core.request import Prompt, Sampling
from core.text import MALFORMED

GREEDY = 1e-4
"""A temperature below this is taken for 0: its inverse is out of all proportion to float32."""
MAX_TOKENS = 512
"""Tokens of an answer whose length the client leaves open, as in mlx_lm's own server."""

Count = Annotated[int, Meta(ge=1, le=10**7)]
Token = Annotated[int, Meta(ge=0, lt=2**31)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Stop = Annotated[str, Meta(min_length=1, max_length=1000)]
Document = dict[str, Any]


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class Function(msgspec.Struct, frozen=True, omit_defaults=True):
    name: Annotated[str, Meta(min_length=1)]
    description: str | None = None
    parameters: Document | None = None


class Tool(msgspec.Struct, frozen=True, omit_defaults=True):
    type: Literal["function"]
    function: Function


class Format(msgspec.Struct, frozen=True):
    type: str


class Called(msgspec.Struct, frozen=True):
    name: str
    arguments: str = "{}"


class Call(msgspec.Struct, frozen=True):
    """A call the model made earlier."""

    function: Called
    id: str = ""


class Part(msgspec.Struct, frozen=True):
    """A piece of a message's content."""

    type: str
    text: str = ""


class Message(msgspec.Struct, frozen=True):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None

    def told(self) -> Document:
        """The message as chat templates know it: content is one string, arguments are no JSON."""
        parts = self.content if isinstance(self.content, list) else []
        if other := next((part.type for part in parts if part.type != "text"), None):
            raise ApiError(400, f"content of type {other!r} is not supported, only text", "messages")
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in parts)
        told: Document = {
            "role": "system" if self.role == "developer" else self.role,
            "content": content,
        }
        if self.name is not None:
            told["name"] = self.name
        if self.tool_call_id is not None:
            told["tool_call_id"] = self.tool_call_id
        if self.tool_calls:
            told["tool_calls"] = [_told(call) for call in self.tool_calls]
        return told


def _told(call: Call) -> Document:
    try:
        arguments: object = msgspec.json.decode(call.function.arguments or "{}")
    except MALFORMED as error:
        raise ApiError(400, f"arguments of a tool call are not JSON: {error}", "messages") from None
    function = {"name": call.function.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What both endpoints take."""

    model: str = ""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=10**7)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[Token, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    seed: int | None = None
    stop: Stop | Annotated[list[Stop], Meta(max_length=16)] | None = None
    ignore_eos: bool = False
    n: int | None = None

    def __post_init__(self) -> None:
        if self.n not in (None, 1):
            raise ApiError(400, "only one choice is made: n has to be 1", "n")
        if self.stream_options is not None and not self.stream:
            raise ApiError(400, "stream_options goes with stream", "stream_options")

    @property
    def usage(self) -> bool:
        """The stream ends with what the answer has cost."""
        return self.stream_options is not None and self.stream_options.include_usage

    def chosen(self, limit: int | None, logprobs: int | None) -> Sampling:
        """How the answer's tokens are to be chosen. OpenAI's defaults, so temperature is 1."""
        temperature = _or(self.temperature, 1.0)
        stop = self.stop or ()
        return Sampling(
            temperature=temperature if temperature >= GREEDY else 0.0,
            top_p=_or(self.top_p, 1.0),
            top_k=_or(self.top_k, 0),
            min_p=_or(self.min_p, 0.0),
            repetition_penalty=_or(self.repetition_penalty, 1.0),
            presence_penalty=_or(self.presence_penalty, 0.0),
            frequency_penalty=_or(self.frequency_penalty, 0.0),
            logit_bias=self.logit_bias or {},
            seed=None if self.seed is None else self.seed % 2**64,  # MLX takes no negative one
            logprobs=logprobs,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            ignore_eos=self.ignore_eos,
            max_tokens=_or(limit, MAX_TOKENS),
        )


class ChatAsked(Asked, frozen=True, kw_only=True):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: list[Tool] | None = None
    tool_choice: str | Document | None = None
    response_format: Format | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_logprobs is not None and not self.logprobs:
            raise ApiError(400, "top_logprobs goes with logprobs", "top_logprobs")
        if self.tool_choice not in (None, "auto", "none"):
            raise ApiError(400, "only the model decides: tool_choice is auto or none", "tool_choice")
        if self.response_format is not None and self.response_format.type != "text":
            raise ApiError(
                400, f"response_format {self.response_format.type!r} is not supported", "response_format"
            )

    @property
    def prompt(self) -> Prompt:
        """What to answer. Raises ApiError."""
        tools = self.tools if self.tools and self.tool_choice != "none" else []
        return Prompt(
            messages=[message.told() for message in self.messages],
            tools=[msgspec.to_builtins(tool) for tool in tools],
            parts=True,
        )

    @property
    def sampling(self) -> Sampling:
        limit = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return self.chosen(limit, _or(self.top_logprobs, 0) if self.logprobs else None)


class TextAsked(Asked, frozen=True, kw_only=True):
    """POST /v1/completions."""

    text: str | list[Token | str | list[Token]] = msgspec.field(name="prompt")
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    echo: bool = False
    suffix: str | None = None
    best_of: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.echo:
            raise ApiError(400, "the prompt is not given back: echo has to be false", "echo")
        if self.suffix:
            raise ApiError(400, "suffix is not supported", "suffix")
        if self.best_of not in (None, 1):
            raise ApiError(400, "only one answer is made: best_of has to be 1", "best_of")

    @property
    def prompt(self) -> Prompt:
        """What to go on from. Raises ApiError."""
        asked = self.text[0] if isinstance(self.text, list) and len(self.text) == 1 else self.text
        if isinstance(asked, str):
            return Prompt(prompt=asked)
        tokens = [asked] if isinstance(asked, int) else [one for one in asked if isinstance(one, int)]
        if not isinstance(asked, int) and len(tokens) < len(asked):
            raise ApiError(400, "one prompt a request", "prompt")
        return Prompt(tokens=tokens)

    @property
    def sampling(self) -> Sampling:
        return self.chosen(self.max_tokens, self.logprobs)


T = TypeVar("T")
A = TypeVar("A", bound=msgspec.Struct)


def _or(value: T | None, default: T) -> T:
    return default if value is None else value


def decode(body: bytes, kind: type[A]) -> A:
    """A request's body. Raises ApiError that names the field."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at ")
        param = path.rpartition("$")[2].strip("`.") or None
        raise ApiError(400, f"{reason} (in {param})" if param else reason, param) from None
    except MALFORMED as error:
        raise ApiError(400, f"the body is not JSON: {error}") from None
