"""Anthropic's messages against `exo-tui serve`, over plain HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core import events as ev
from core.api.anthropic import MessageForm
from tests.api.served import Served

PATH = "/v1/messages"
SAY = {"messages": [{"role": "user", "content": "Tell me a story"}], "max_tokens": 12, "temperature": 0}
TOOL = {"name": "look_up", "input_schema": {"type": "object", "properties": {"word": {"type": "string"}}}}


def streamed(server: Served, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream, each of them named as its document says."""
    status, headers, body = server.http("POST", PATH, msgspec.json.encode(asked | {"stream": True}))
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    events: list[dict[str, Any]] = []
    for part in body.decode().removesuffix("\n\n").split("\n\n"):
        name, data = part.split("\n")
        events.append(msgspec.json.decode(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def test_a_stream_of_a_message_says_what_the_whole_one_says(server) -> None:
    status, whole = server.post(PATH, SAY | {"model": server.model})
    assert (status, whole["type"], whole["role"], whole["stop_reason"]) == (
        200,
        "message",
        "assistant",
        "max_tokens",
    )
    assert whole["usage"]["output_tokens"] == 12
    [block] = whole["content"]
    events = streamed(server, SAY)
    assert [one["type"] for one in (*events[:2], *events[-3:])] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    deltas = [one["delta"]["text"] for one in events if one["type"] == "content_block_delta"]
    assert "".join(deltas) == block["text"]
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"
    assert events[-2]["usage"]["output_tokens"] == 12


def test_the_same_conversation_is_the_same_in_both_apis(server) -> None:
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Go on"},
    ]
    asked = {"messages": turns, "system": "Be brief.", "max_tokens": 8, "temperature": 0}
    _, ours = server.post(PATH, asked)
    told = [{"role": "system", "content": "Be brief."}, *turns]
    _, theirs = server.post("/v1/chat/completions", {"messages": told, "max_tokens": 8, "temperature": 0})
    assert ours["content"][0]["text"] == theirs["choices"][0]["message"]["content"]


def test_tools_that_the_model_calls_are_blocks(parrot) -> None:
    asked = SAY | {"max_tokens": 60, "tools": [TOOL]}
    status, whole = parrot.post(PATH, asked)
    assert (status, whole["stop_reason"]) == (200, "tool_use")
    text, call = whole["content"]
    assert (text["text"].strip(), call["name"], call["input"]) == ("Sure:", "look_up", {"word": "sky"})
    events = streamed(parrot, asked)
    starts = [one["content_block"] for one in events if one["type"] == "content_block_start"]
    assert [(one["type"], one.get("name")) for one in starts] == [("text", None), ("tool_use", "look_up")]
    assert [one["index"] for one in events if one["type"] == "content_block_stop"] == [0, 1]
    [made] = [one["delta"] for one in events if one.get("delta", {}).get("type") == "input_json_delta"]
    assert msgspec.json.decode(made["partial_json"]) == {"word": "sky"}

    used = {"type": "tool_use", "id": "t1", "name": "look_up", "input": {"word": "sky"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "blue"}
    turns = [{"role": "assistant", "content": [used]}, {"role": "user", "content": [result]}]
    assert parrot.post(PATH, asked | {"messages": [*SAY["messages"], *turns]})[0] == 200


@pytest.mark.parametrize(
    ("change", "status", "kind", "word"),
    [
        ({"max_tokens": 0}, 400, "invalid_request_error", ">= 1"),
        ({"max_tokens": None}, 400, "invalid_request_error", "int"),
        ({"messages": []}, 400, "invalid_request_error", "length >= 1"),
        ({"messages": [{"role": "system", "content": "x"}]}, 400, "invalid_request_error", "system"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            400,
            "invalid_request_error",
            "image",
        ),
        ({"temperature": 1.5}, 400, "invalid_request_error", "<= 1"),
        ({"tool_choice": {"type": "any"}}, 400, "invalid_request_error", "tool_choice"),
        ({"model": "claude"}, 404, "not_found_error", "claude"),
        ({"messages": [{"role": "user", "content": "raise"}]}, 400, "invalid_request_error", "template"),
        ({"messages": [{"role": "user", "content": "word " * 5000}]}, 400, "invalid_request_error", "4096"),
    ],
    ids=str,
)
def test_a_message_that_cannot_be_meant(change, status, kind, word, server) -> None:
    answered, answer = server.post(PATH, SAY | change)
    assert (answered, answer["type"], answer["error"]["type"]) == (status, "error", kind)
    assert word in answer["error"]["message"]


def test_anthropics_header_carries_the_token(server) -> None:
    body = msgspec.json.encode(SAY)
    for key, status in ((server.token, 200), ("wrong", 401)):
        assert server.http("POST", PATH, body, authorization="", x_api_key=key)[0] == status


def test_arguments_that_are_no_json_are_shown_as_a_rank_gave_them() -> None:
    said = ev.TokensStreamed(
        t=0.0, request="r", ids=(1,), text="", calls=(ev.ToolCall(name="f", arguments='{"a": '),)
    )
    done = ev.RequestDone(t=0.0, request="r", why="stop")
    [block] = MessageForm("m").whole([said], done)["content"]
    assert (block["name"], block["input"]) == ("f", {"unparsed": '{"a": '})
    assert MessageForm("m").piece(said)[0]["type"] == "content_block_start"
