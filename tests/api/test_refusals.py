"""What cannot be answered is said clearly to whoever asked; everybody else is answered as before."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest
from openai import BadRequestError, RateLimitError

from core.api import body
from core.cluster import QUEUE
from tests.api.served import ENDLESS, GREEDY, Served, cancelled
from tests.e2e.until import LIMIT_S, soon
from tests.tiny_models import build

CHAT = "/v1/chat/completions"
JSON = "Content-Type: application/json\r\n"
SAY = {"messages": [{"role": "user", "content": "Hello"}]}
BAD = {
    "no JSON": (b'{"messages": [', 400, None, "not JSON"),
    "no text": (b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}', 400, None, "not JSON"),
    "nothing": (b"", 400, None, "not JSON"),
    "a list": (b"[]", 400, None, "object"),
    "too deep": (b"[" * 10**6, 400, None, "object"),
    "too deep a tool call": (
        {"messages": [{"role": "assistant", "tool_calls": [
            {"id": "c", "function": {"name": "f", "arguments": "[" * 10**5}},
        ]}]}, 400, "messages", "not JSON",
    ),
    "no messages": ({}, 400, None, "messages"),
    "an empty conversation": ({"messages": []}, 400, "messages", "length >= 1"),
    "an unknown role": ({"messages": [{"role": "usher"}]}, 400, "messages[0].role", "usher"),
    "a picture": (
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages", "image_url",
    ),
    "no tokens": (SAY | {"max_tokens": 0}, 400, "max_tokens", ">= 1"),
    "a fraction of a token": (SAY | {"max_tokens": 1.5}, 400, "max_tokens", "int"),
    "cold": (SAY | {"temperature": -0.1}, 400, "temperature", ">= 0"),
    "hot": (SAY | {"temperature": 2.1}, 400, "temperature", "<= 2"),
    "infinite": (b'{"temperature": 1e999}', 400, "temperature", "out of range"),
    "top_p": (SAY | {"top_p": 1.01}, 400, "top_p", "<= 1"),
    "top_k": (SAY | {"top_k": -1}, 400, "top_k", ">= 0"),
    "penalty": (SAY | {"presence_penalty": 3}, 400, "presence_penalty", "<= 2"),
    "repetition": (SAY | {"repetition_penalty": 0}, 400, "repetition_penalty", "> 0"),
    "bias": (SAY | {"logit_bias": {"5": 101}}, 400, "logit_bias[...]", "<= 100"),
    "bias of a word": (SAY | {"logit_bias": {"five": 1}}, 400, "logit_bias", "int"),
    "bias beyond the vocabulary": (SAY | {"logit_bias": {"512": 1}}, 400, None, "no token 512"),
    "an empty stop": (SAY | {"stop": ""}, 400, "stop", "length >= 1"),
    "two choices": (SAY | {"n": 2}, 400, "n", "n has to be 1"),
    "top_logprobs alone": (SAY | {"top_logprobs": 2}, 400, "top_logprobs", "logprobs"),
    "many logprobs": (SAY | {"logprobs": True, "top_logprobs": 21}, 400, "top_logprobs", "<= 20"),
    "a schema": (SAY | {"response_format": {"type": "json_object"}}, 400, "response_format", "json_object"),
    "a forced tool": (SAY | {"tool_choice": "required"}, 400, "tool_choice", "auto"),
    "another model": (SAY | {"model": "gpt-4"}, 404, "model", "gpt-4"),
    "a template that raises": (
        {"messages": [{"role": "user", "content": "raise"}]}, 400, None, "this template will not have it",
    ),
    "too long a conversation": (
        {"messages": [{"role": "user", "content": "word " * 5000}]}, 400, None, "the context is 4096",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def usual(server: Served) -> dict:
    """What the server says to an ordinary request."""
    return _answer(server)


def _answer(server: Served) -> dict:
    status, answer = server.post(CHAT, SAY | {"max_tokens": 6, **GREEDY})
    assert status == 200
    return answer["choices"]


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_request_that_cannot_be_meant(bad, server, usual) -> None:
    document, status, param, word = bad
    for more in ({}, {"stream": True}):
        sent = document if isinstance(document, bytes) else document | more
        answered, answer = server.post(CHAT, sent)
        error = answer["error"]
        assert (answered, error["param"]) == (status, param), error
        assert word in error["message"]
        assert error["type"] == "invalid_request_error"
    assert _answer(server) == usual


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"prompt": [512]}, "no token 512"),
        ({"prompt": [2**40]}, "<= 2147483647"),
        ({"prompt": []}, "empty"),
        ({"prompt": ["a", "b"]}, "one prompt"),
        ({"prompt": list(range(500)) * 10}, "the prompt is 5000 tokens"),
        ({"prompt": "x", "echo": True}, "echo"),
        ({"prompt": "x", "best_of": 2}, "best_of"),
        ({"prompt": "x", "stream_options": {}}, "stream_options"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_completion_that_cannot_be_made(asked, word, server, usual) -> None:
    client = server.client()
    with pytest.raises(BadRequestError, match=word):
        client.post("/completions", body=asked, cast_to=object)
    assert _answer(server) == usual


def test_a_body_of_100_mb_is_refused_and_not_kept(server, usual) -> None:
    before = server.memory
    status, answer = server.post(CHAT, b'{"messages": "' + b"x" * 100_000_000 + b'"}')
    assert (status, answer["error"]["message"]) == (413, "the body is larger than 8 MiB")
    assert server.memory - before < 4 * body.LIMIT
    assert _answer(server) == usual


def test_a_client_that_asks_before_sending_is_refused_at_once(server) -> None:
    with socket.create_connection(server.address.split(":"), timeout=LIMIT_S) as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n{JSON}"
        head += f"Content-Length: {body.LIMIT + 1}\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(20).startswith(b"HTTP/1.1 413")


def test_without_the_token_nobody_comes_in(server) -> None:
    for given in ("", "Bearer", "Bearer wrong", f"Basic {server.token}"):
        status, headers, answer = server.http("GET", "/v1/models", authorization=given)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert msgspec.json.decode(answer)["error"]["code"] == "invalid_api_key"
    assert server.http("GET", "/health", authorization="")[0] == 200
    assert server.http("GET", "/metrics", authorization="")[0] == 401


def test_without_a_token_web_pages_do_not_come_in(parrot) -> None:
    assert parrot.http("GET", "/v1/models", host="localhost:1")[0] == 200
    assert parrot.http("GET", "/v1/models", host="rebound.example")[0] == 403
    hello = msgspec.json.encode(SAY)
    assert parrot.http("POST", CHAT, hello, content_type="text/plain")[0] == 415
    assert parrot.http("POST", CHAT, hello, origin="https://page.example")[0] == 403


def test_what_is_not_there_is_an_error_of_the_same_shape(server) -> None:
    for method, path, status in (("GET", "/v1/nothing", 404), ("GET", CHAT, 405), ("POST", "/health", 405)):
        answered, _, answer = server.http(method, path, b"")
        assert answered == status
        assert path in msgspec.json.decode(answer)["error"]["message"]


async def test_one_request_too_many_is_told_to_come_again(server, usual) -> None:
    before = cancelled(server.figures())
    client = server.async_client()
    asked = {"model": server.model, "prompt": [5, 6, 7], "stream": True, **ENDLESS}
    waiting = [asyncio.create_task(client.completions.create(**asked)) for _ in range(QUEUE)]
    await soon(lambda: server.at_work() == QUEUE, "a full queue")
    with pytest.raises(RateLimitError) as refused:
        await client.completions.create(**asked)
    assert int(refused.value.response.headers["retry-after"]) > 0
    assert refused.value.code == "queue_full"
    await client.close()
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await server.reaches(lambda now: cancelled(now) == before + QUEUE, "all of them cancelled")
    assert _answer(server) == usual


async def test_a_client_that_never_reads_costs_little_and_not_for_ever(server, usual) -> None:
    before, held = cancelled(server.figures()), server.memory
    asked = SAY | {
        "max_tokens": 3500,
        "ignore_eos": True,
        "stream": True,
        "logprobs": True,
        "top_logprobs": 20,
    }
    document = msgspec.json.encode(asked)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(LIMIT_S)
        host, _, port = server.address.rpartition(":")
        connection.connect((host, int(port)))
        head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n{JSON}"
        connection.sendall(f"{head}Content-Length: {len(document)}\r\n\r\n".encode() + document)
        await server.reaches(lambda now: cancelled(now) == before + 1, "the answer given up")
        assert server.memory - held < 32 * 2**20
    assert _answer(server) == usual


# Before anything is launched


def test_other_addresses_need_a_token(command, tiny) -> None:
    done = command.run("serve", tiny, "--host", "0.0.0.0", "--port", 0)
    assert done.code == 2
    assert "--token" in done.complaint


def test_a_port_in_use_is_one_line(command, tiny) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command.run("serve", tiny, "--port", port)
    assert (done.code, done.complaint) == (1, f"port {port} on 127.0.0.1 is in use")


def test_an_address_that_is_none(command, tiny) -> None:
    done = command.run("serve", tiny, "--host", "no.such.host.invalid", "--port", 0)
    assert done.code == 1
    assert "no.such.host.invalid" in done.complaint


def test_a_model_whose_tensors_do_not_match_its_config(command, tmp_path) -> None:
    model = build("llama", tmp_path / "model")
    config = msgspec.json.decode((model / "config.json").read_bytes())
    (model / "config.json").write_bytes(msgspec.json.encode(config | {"intermediate_size": 200}))
    done = command.run("serve", model, "--port", 0, "--demo-devices", 1)
    assert (done.code, done.out) == (1, "")
    assert "in the files, the model wants" in done.err.splitlines()[-1]
    command.leaves_nothing()
