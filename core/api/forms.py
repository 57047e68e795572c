"""The documents an answer is given in: whole, or one a piece."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from core import events as ev
from core.api.errors import ApiError

Document = dict[str, Any]


class Form(Protocol):
    """One answer's documents."""

    ending: bytes
    """What ends a stream after its last document."""

    def framed(self, document: Document) -> bytes:
        """A document as a server-sent event."""
        ...

    def failed(self, error: ApiError) -> Document:
        """The document of an error."""
        ...

    def opening(self) -> list[Document]:
        """What a stream begins with."""
        ...

    def piece(self, event: ev.TokensStreamed) -> list[Document]:
        """A stream's documents for what has come; none when there is nothing in it for a client."""
        ...

    def closing(self, done: ev.RequestDone) -> list[Document]:
        """A stream's documents that say why it ends."""
        ...

    def cost(self, done: ev.RequestDone) -> list[Document]:
        """A stream's last documents, where they are wanted: what the answer has cost."""
        ...

    def whole(self, pieces: Sequence[ev.TokensStreamed], done: ev.RequestDone) -> Document:
        """The answer in one document."""
        ...


class OpenAI:
    """How OpenAI's streams are framed."""

    ending = b"data: [DONE]\n\n"

    def framed(self, document: Document) -> bytes:
        return b"data: " + msgspec.json.encode(document) + b"\n\n"

    def failed(self, error: ApiError) -> Document:
        return error.document


class Paper:
    """What every document of an answer has."""

    def __init__(self, kind: str, model: str) -> None:
        self._head: Document = {
            "id": f"{kind}-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }

    def sheet(self, object_: str, choices: list[Document], **more: object) -> Document:
        """A document."""
        return {**self._head, "object": object_, "choices": choices, **more}


def usage(done: ev.RequestDone) -> Document:
    """What an answer has cost."""
    return {
        "prompt_tokens": done.prompt_tokens,
        "completion_tokens": done.tokens,
        "total_tokens": done.prompt_tokens + done.tokens,
        "prompt_tokens_details": {"cached_tokens": done.reused_tokens},
    }


class ChatForm(OpenAI):
    """chat.completion."""

    def __init__(self, model: str) -> None:
        self._paper = Paper("chatcmpl", model)
        self._calls = 0

    def _chunk(self, delta: Document, logprobs: object = None, finish: str | None = None) -> Document:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._paper.sheet("chat.completion.chunk", [choice])

    def opening(self) -> list[Document]:
        return [self._chunk({"role": "assistant", "content": ""})]

    def piece(self, event: ev.TokensStreamed) -> list[Document]:
        delta: Document = {}
        text = text_of(event)
        if text or event.logprobs is not None:
            delta["content"] = text
        if event.thought:
            delta["reasoning_content"] = event.thought
        if event.calls:
            calls = self._called(event.calls)
            delta["tool_calls"] = [{"index": i, **call} for i, call in calls]
        logprobs = None if event.logprobs is None else {"content": [_chat_logprob(event.logprobs)]}
        return [self._chunk(delta, logprobs)] if delta else []

    def closing(self, done: ev.RequestDone) -> list[Document]:
        return [self._chunk({}, finish=self._finish(done))]

    def cost(self, done: ev.RequestDone) -> list[Document]:
        return [self._paper.sheet("chat.completion.chunk", [], usage=usage(done))]

    def whole(self, pieces: Sequence[ev.TokensStreamed], done: ev.RequestDone) -> Document:
        text, thought = "".join(map(text_of, pieces)), "".join(one.thought for one in pieces)
        calls = [call for one in pieces for _, call in self._called(one.calls)]
        message: Document = {"role": "assistant", "content": text if text or not calls else None}
        if thought:
            message["reasoning_content"] = thought
        if calls:
            message["tool_calls"] = calls
        told = [_chat_logprob(one.logprobs) for one in pieces if one.logprobs is not None]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": {"content": told} if told else None,
            "finish_reason": self._finish(done),
        }
        return self._paper.sheet("chat.completion", [choice], usage=usage(done))

    def _called(self, calls: Sequence[ev.ToolCall]) -> list[tuple[int, Document]]:
        """Calls with their number in the answer."""
        first, self._calls = self._calls, self._calls + len(calls)
        return [
            (
                first + i,
                {
                    "id": call.id or f"call_{secrets.token_hex(8)}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                },
            )
            for i, call in enumerate(calls)
        ]

    def _finish(self, done: ev.RequestDone) -> str:
        return "tool_calls" if self._calls and done.why == "stop" else done.why


class TextForm(OpenAI):
    """text_completion."""

    def __init__(self, model: str) -> None:
        self._paper = Paper("cmpl", model)
        self._length = 0

    def _choice(self, text: str, logprobs: object = None, finish: str | None = None) -> list[Document]:
        return [{"index": 0, "text": text, "logprobs": logprobs, "finish_reason": finish}]

    def opening(self) -> list[Document]:
        return []

    def piece(self, event: ev.TokensStreamed) -> list[Document]:
        logprobs = self._logprobs([event])
        text = text_of(event)
        if not text and logprobs is None:
            return []
        return [self._paper.sheet("text_completion", self._choice(text, logprobs))]

    def closing(self, done: ev.RequestDone) -> list[Document]:
        return [self._paper.sheet("text_completion", self._choice("", finish=done.why))]

    def cost(self, done: ev.RequestDone) -> list[Document]:
        return [self._paper.sheet("text_completion", [], usage=usage(done))]

    def whole(self, pieces: Sequence[ev.TokensStreamed], done: ev.RequestDone) -> Document:
        choices = self._choice("".join(map(text_of, pieces)), self._logprobs(pieces), done.why)
        return self._paper.sheet("text_completion", choices, usage=usage(done))

    def _logprobs(self, pieces: Sequence[ev.TokensStreamed]) -> Document | None:
        told: dict[str, list[Any]] = {
            "tokens": [],
            "token_logprobs": [],
            "top_logprobs": [],
            "text_offset": [],
        }
        for one in pieces:
            if one.logprobs is None:
                continue
            chosen, *likeliest = one.logprobs
            told["tokens"].append(chosen.text)
            told["token_logprobs"].append(chosen.logprob)
            told["top_logprobs"].append({likely.text: likely.logprob for likely in likeliest})
            told["text_offset"].append(self._length)
            self._length += len(chosen.text)
        return told if told["tokens"] else None


def text_of(event: ev.TokensStreamed) -> str:
    """What the model said, as it said it."""
    return event.raw or event.text


def _chat_logprob(logprobs: Sequence[ev.Likely]) -> Document:
    chosen, *likeliest = logprobs
    return {**_token(chosen), "top_logprobs": [_token(one) for one in likeliest]}


def _token(likely: ev.Likely) -> Document:
    # Of a part of a character the bytes are not known here.
    whole = "�" not in likely.text
    return {
        "token": likely.text,
        "logprob": likely.logprob,
        "bytes": list(likely.text.encode()) if whole else None,
    }
