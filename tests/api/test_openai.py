"""OpenAI's own client against `exo-tui serve`."""

from __future__ import annotations

import shutil
import subprocess

import msgspec
import pytest
from openai import APITimeoutError, OpenAI

from core.api import schema
from tests.api.served import ENDLESS, GREEDY, Served, cancelled
from tests.e2e.until import LIMIT_S

SAY = [{"role": "user", "content": "Tell me a story"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "What a word means",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
    },
}


@pytest.fixture
def client(server: Served) -> OpenAI:
    return server.client()


def test_the_model_is_listed(server, client) -> None:
    assert [model.id for model in client.models.list()] == [server.model]
    assert client.models.retrieve(server.model).owned_by == "exo-tui"


def test_a_stream_says_what_the_whole_answer_says(server, client) -> None:
    asked = {"model": server.model, "messages": SAY, "max_completion_tokens": 20, **GREEDY}
    whole = client.chat.completions.create(**asked)
    [choice] = whole.choices
    assert choice.finish_reason == "length"
    assert choice.message.role == "assistant" and choice.message.content
    assert whole.usage.completion_tokens == 20
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + 20

    stream = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    *chunks, last = stream
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == choice.message.content
    assert [one.choices[0].finish_reason for one in chunks][-2:] == [None, "length"]
    assert len({one.id for one in chunks}) == 1
    assert last.choices == []
    assert last.usage.completion_tokens == 20
    assert last.usage.prompt_tokens_details.cached_tokens == whole.usage.prompt_tokens - 1


def test_what_a_client_leaves_null_is_as_if_it_were_not_there() -> None:
    body = {"messages": SAY, "stream": None, "temperature": None}
    asked = schema.decode(msgspec.json.encode(body), schema.ChatAsked)
    assert not asked.stream and asked.sampling.temperature == 1.0


def test_completions_go_on_from_text_and_from_tokens(server, client) -> None:
    asked = {"model": server.model, "max_tokens": 12, **GREEDY}
    whole = client.completions.create(prompt="def main(", logprobs=1, **asked)
    text = whole.choices[0].text
    assert text
    told = whole.choices[0].logprobs
    assert len(told.tokens) == 12
    assert told.top_logprobs[0] == {told.tokens[0]: told.token_logprobs[0]}
    streamed = client.completions.create(prompt=["def main("], stream=True, **asked)
    assert "".join(one.choices[0].text for one in streamed) == text
    assert client.completions.create(prompt=[5, 6, 7], **asked).usage.prompt_tokens == 3


def test_logprobs_are_those_of_the_tokens_chosen(server, client) -> None:
    answer = client.chat.completions.create(
        model=server.model, messages=SAY, max_tokens=8, logprobs=True, top_logprobs=3, **GREEDY
    )
    told = answer.choices[0].logprobs.content
    assert len(told) == 8
    for one in told:
        best = one.top_logprobs[0]
        assert (best.token, best.logprob) == (one.token, one.logprob)
        assert len(one.top_logprobs) == 3
        assert 0 >= best.logprob >= one.top_logprobs[2].logprob
    readable = [one for one in told if one.bytes is not None]
    assert all(bytes(one.bytes).decode() == one.token for one in readable)


def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(server, client) -> None:
    asked = {"model": server.model, "messages": SAY, "max_tokens": 30, **GREEDY}
    text = client.chat.completions.create(**asked).choices[0].message.content
    stop = text[len(text) // 2 :][:4]
    [choice] = client.chat.completions.create(**asked, stop=["\0", stop]).choices
    assert choice.message.content == text[: text.index(stop)]
    assert choice.finish_reason == "stop"


def test_a_seed_decides_and_a_bias_forces(server, client) -> None:
    asked = {"model": server.model, "messages": SAY, "max_tokens": 12, "temperature": 1.5}
    said = [client.chat.completions.create(**asked, seed=seed) for seed in (-7, -7, 8)]
    texts = [one.choices[0].message.content for one in said]
    assert texts[0] == texts[1] != texts[2]
    wish = {"top_k": 1, "min_p": 0.1, "repetition_penalty": 1.0}  # top_k beyond the vocabulary is no limit
    likeliest = client.chat.completions.create(**asked, extra_body=wish).choices[0].message.content
    greedy = client.chat.completions.create(**asked | GREEDY, extra_body={"top_k": 10**6})
    assert likeliest == greedy.choices[0].message.content
    forced = client.completions.create(
        model=server.model, prompt="x", max_tokens=3, logit_bias={"100": 100}, logprobs=0, temperature=0
    )
    assert len(set(forced.choices[0].logprobs.tokens)) == 1


async def test_closing_a_stream_frees_its_place(server) -> None:
    before = cancelled(server.figures())
    client = server.async_client()
    stream = await client.chat.completions.create(model=server.model, messages=SAY, stream=True, **ENDLESS)
    for _ in range(4):
        await anext(aiter(stream))
    await stream.close()
    await server.reaches(lambda now: cancelled(now) == before + 1, "the request cancelled")
    assert server.at_work() == 0


async def test_a_client_that_gives_up_waiting_is_not_answered(server) -> None:
    before = cancelled(server.figures())
    client = server.async_client(timeout=0.5)
    with pytest.raises(APITimeoutError):
        await client.chat.completions.create(model=server.model, messages=SAY, **ENDLESS)
    await server.reaches(lambda now: cancelled(now) == before + 1, "the request cancelled")


def test_tool_calls_are_parsed_out_of_the_answer(parrot) -> None:
    client = parrot.client()
    asked = {"model": parrot.model, "messages": SAY, "tools": [TOOL], **GREEDY}
    [choice] = client.chat.completions.create(**asked).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Sure: "
    [call] = choice.message.tool_calls
    assert (call.function.name, msgspec.json.decode(call.function.arguments)) == ("look_up", {"word": "sky"})

    chunks = list(client.chat.completions.create(**asked, stream=True))
    [call] = [one for chunk in chunks for one in chunk.choices[0].delta.tool_calls or []]
    assert (call.index, call.function.name) == (0, "look_up")
    assert chunks[-1].choices[0].finish_reason == "tool_calls"

    # The model's own call, and what came of it, go back into the template.
    told = [*SAY, choice.message, {"role": "tool", "tool_call_id": call.id, "content": "blue"}]
    assert client.chat.completions.create(**asked | {"messages": told}).choices[0].message.tool_calls


def test_what_the_model_thinks_is_told_apart(parrot) -> None:
    client = parrot.client()
    [choice] = client.chat.completions.create(model=parrot.model, messages=SAY, **GREEDY).choices
    assert choice.message.reasoning_content == "Hm."
    assert choice.message.content.startswith("Sure: <tool_call>"), "nobody offered a tool"
    assert choice.finish_reason == "stop"
    cut = client.chat.completions.create(
        model=parrot.model, messages=SAY, max_tokens=5, tools=[TOOL], **GREEDY
    )
    assert cut.choices[0].message.content == "Sure: <tool_call>"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_one_line_of_curl(parrot) -> None:
    body = '{"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}'
    asked = [
        "curl",
        "-sS",
        f"{parrot.url}/chat/completions",
        "-H",
        "Content-Type: application/json",
        "-d",
        body,
    ]
    said = subprocess.run(asked, capture_output=True, timeout=LIMIT_S)
    assert msgspec.json.decode(said.stdout)["choices"][0]["message"]["content"] == "Sure: ", said.stderr
