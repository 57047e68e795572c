"""Anthropic's messages: what is asked in them, and the documents of an answer."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from core import events as ev
from core.api.errors import ApiError
from core.api.forms import Document, text_of
from core.api.schema import GREEDY, Count, Stop
from core.request import Prompt, Sampling
from core.text import MALFORMED

_REASONS = {"stop": "end_turn", "length": "max_tokens"}


class Block(msgspec.Struct, frozen=True):
    """A piece of a message: text, a call the model made, or what came of one."""

    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: Document = {}
    tool_use_id: str = ""
    content: str | list[Block] = ""


class Message(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant"]
    content: str | list[Block]


class Tool(msgspec.Struct, frozen=True):
    name: Annotated[str, Meta(min_length=1)]
    input_schema: Document
    description: str = ""


class Choice(msgspec.Struct, frozen=True):
    type: str


class MessagesAsked(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/messages. Fields not named here are ignored."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_tokens: Count
    model: str = ""
    system: str | list[Block] = ""
    stop_sequences: Annotated[list[Stop], Meta(max_length=16)] = []
    stream: bool = False
    temperature: Annotated[float, Meta(ge=0, le=1)] = 1.0
    top_p: Annotated[float, Meta(ge=0, le=1)] = 1.0
    top_k: Annotated[int, Meta(ge=0, le=10**7)] = 0
    tools: list[Tool] = []
    tool_choice: Choice | None = None

    def __post_init__(self) -> None:
        if self.tool_choice is not None and self.tool_choice.type not in ("auto", "none"):
            raise ApiError(400, "only the model decides: tool_choice is auto or none", "tool_choice")

    @property
    def prompt(self) -> Prompt:
        """What to answer. Raises ApiError."""
        told: list[Document] = [{"role": "system", "content": _text(self.system)}] if self.system else []
        for message in self.messages:
            told += _told(message)
        tools = self.tools if self.tool_choice is None or self.tool_choice.type == "auto" else []
        return Prompt(messages=told, tools=[_function(tool) for tool in tools], parts=True)

    @property
    def sampling(self) -> Sampling:
        return Sampling(
            temperature=self.temperature if self.temperature >= GREEDY else 0.0,
            top_p=self.top_p,
            top_k=self.top_k,
            stop=tuple(self.stop_sequences),
            max_tokens=self.max_tokens,
        )


def _function(tool: Tool) -> Document:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
    return {"type": "function", "function": function}


def _text(content: str | list[Block]) -> str:
    if isinstance(content, str):
        return content
    if other := next((block.type for block in content if block.type != "text"), None):
        raise ApiError(400, f"content of type {other!r} is not supported, only text and tools", "messages")
    return "".join(block.text for block in content)


def _told(message: Message) -> list[Document]:
    """The message as chat templates know it: what came of a call is a message of its own."""
    if isinstance(message.content, str):
        return [{"role": message.role, "content": message.content}]
    results = [block for block in message.content if block.type == "tool_result"]
    calls = [block for block in message.content if block.type == "tool_use"]
    rest = [block for block in message.content if block not in results and block not in calls]
    told: list[Document] = [
        {"role": "tool", "tool_call_id": one.tool_use_id, "content": _text(one.content)} for one in results
    ]
    if rest or calls or not results:
        said: Document = {"role": message.role, "content": _text(rest)}
        if calls:
            said["tool_calls"] = [
                {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.input}}
                for one in calls
            ]
        told.append(said)
    return told


class MessageForm:
    """message. Its stream has blocks one after the other: text, and calls of tools."""

    ending = b""

    def __init__(self, model: str) -> None:
        self._head: Document = {
            "id": f"msg_{secrets.token_hex(12)}",
            "type": "message",
            "role": "assistant",
            "model": model,
        }
        self._blocks = 0
        self._open = False
        self._called = False

    def framed(self, document: Document) -> bytes:
        """A document of the stream as a server-sent event."""
        return b"event: %b\ndata: %b\n\n" % (document["type"].encode(), msgspec.json.encode(document))

    def failed(self, error: ApiError) -> Document:
        """An error, in Anthropic's shape."""
        return failure(error)

    def opening(self) -> list[Document]:
        message = self._whole([], None, {"input_tokens": 0, "output_tokens": 0})
        return [{"type": "message_start", "message": message}]

    def piece(self, event: ev.TokensStreamed) -> list[Document]:
        found: list[Document] = []
        if text := text_of(event):
            if not self._open:
                found.append(self._start({"type": "text", "text": ""}))
            found.append(self._delta({"type": "text_delta", "text": text}))
        for call in event.calls:
            found += self._end()
            found.append(self._start(_use(call) | {"input": {}}))
            found.append(self._delta({"type": "input_json_delta", "partial_json": call.arguments}))
            found += self._end()
            self._called = True
        return found

    def _start(self, block: Document) -> Document:
        self._open = True
        return {"type": "content_block_start", "index": self._blocks, "content_block": block}

    def _delta(self, delta: Document) -> Document:
        return {"type": "content_block_delta", "index": self._blocks, "delta": delta}

    def _end(self) -> list[Document]:
        if not self._open:
            return []
        self._open = False
        self._blocks += 1
        return [{"type": "content_block_stop", "index": self._blocks - 1}]

    def closing(self, done: ev.RequestDone) -> list[Document]:
        reason = {"stop_reason": self._reason(done), "stop_sequence": None}
        last: Document = {"type": "message_delta", "delta": reason, "usage": _usage(done)}
        return [*self._end(), last, {"type": "message_stop"}]

    def cost(self, done: ev.RequestDone) -> list[Document]:
        return []  # told with the reason of the end

    def whole(self, pieces: Sequence[ev.TokensStreamed], done: ev.RequestDone) -> Document:
        content: list[Document] = []
        if text := "".join(map(text_of, pieces)):
            content.append({"type": "text", "text": text})
        calls = [call for one in pieces for call in one.calls]
        self._called = bool(calls)
        content += [_use(call) for call in calls]
        return self._whole(content, self._reason(done), _usage(done))

    def _whole(self, content: list[Document], reason: str | None, usage: Document) -> Document:
        return {
            **self._head,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": usage,
        }

    def _reason(self, done: ev.RequestDone) -> str:
        return "tool_use" if self._called and done.why == "stop" else _REASONS.get(done.why, "end_turn")


def _use(call: ev.ToolCall) -> Document:
    try:
        arguments: object = msgspec.json.decode(call.arguments or "{}")
    except MALFORMED:  # a rank's word, and no JSON: shown as it came
        arguments = {"unparsed": call.arguments}
    return {
        "type": "tool_use",
        "id": call.id or f"toolu_{secrets.token_hex(8)}",
        "name": call.name,
        "input": arguments,
    }


def _usage(done: ev.RequestDone) -> Document:
    return {
        "input_tokens": done.prompt_tokens - done.reused_tokens,
        "cache_read_input_tokens": done.reused_tokens,
        "output_tokens": done.tokens,
    }


def failure(error: ApiError) -> Document:
    """An error, in Anthropic's shape."""
    kinds = {401: "authentication_error", 404: "not_found_error", 413: "request_too_large"}
    kinds |= {429: "rate_limit_error", 503: "overloaded_error"}
    kind = kinds.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": str(error)}}
