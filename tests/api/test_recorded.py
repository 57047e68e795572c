"""What a client of another make sees of its requests is what the recording says of them."""

from __future__ import annotations

import time

from core import events as ev
from core.bench.collect import measured
from core.bench.metrics import Answer
from core.session.format import read
from core.text import clean
from tests.api.served import GREEDY, Served
from tests.e2e.until import soon

COUNTS = (7, 12, 12)


class Seen:
    """One streamed answer, timed by who asked for it."""

    def __init__(self, server: Served, prompt: str, count: int) -> None:
        began = time.perf_counter()
        asked = {"model": server.model, "prompt": prompt, "max_tokens": count, **GREEDY}
        stream = server.client().completions.create(
            **asked, stream=True, stream_options={"include_usage": True}, extra_body={"ignore_eos": True}
        )
        self.pieces: list[tuple[float, str]] = []
        for chunk in stream:
            if chunk.choices and chunk.choices[0].text:
                self.pieces.append((time.perf_counter() - began, chunk.choices[0].text))
            self.usage = chunk.usage
        self.seconds = time.perf_counter() - began


async def test_the_recording_has_each_request_as_its_client_saw_it(server: Served) -> None:
    prompts = [f"the client's clock, {i}" for i in range(len(COUNTS))]
    seen = [Seen(server, prompt, count) for prompt, count in zip(prompts, COUNTS, strict=True)]
    found: list[tuple[Answer, str]] = []

    def recorded() -> bool:
        # The file is flushed once a second.
        found[:] = _answers(server, prompts)
        return len(found) == len(seen)

    await soon(recorded, "every request in the recording")
    for client, (answer, text) in zip(seen, found, strict=True):
        assert client.usage is not None
        assert answer.tokens == client.usage.completion_tokens
        assert answer.prompt == client.usage.prompt_tokens
        # What is recorded is fit to be shown; a program gets it as the model wrote it.
        assert "".join(clean(piece) for _, piece in client.pieces) == text
        # A recorded span lies within the client's: it begins when the request has come, and a token is told
        # of before it is sent.
        assert answer.ttft_s is not None and answer.total_s is not None
        assert 0 < answer.ttft_s <= client.pieces[0][0]
        assert answer.total_s <= client.seconds
    assert [answer.tokens for answer, _ in found] == list(COUNTS)


def _answers(server: Served, prompts: list[str]) -> list[tuple[Answer, str]]:
    assert server.recording is not None
    events = read(server.recording).events
    ours = {e.request: e for e in events if isinstance(e, ev.RequestStarted) and e.prompt in prompts}
    found: list[tuple[Answer, str]] = []
    for done in (e for e in events if isinstance(e, ev.RequestDone) and e.request in ours):
        tokens = [e for e in events if isinstance(e, ev.TokensStreamed) and e.request == done.request]
        times = [e.t for e in tokens for _ in e.ids]
        ids = [one for e in tokens for one in e.ids]
        answer = measured(done, ours[done.request].t, times, ids)
        found.append((answer, "".join(e.text for e in tokens)))
    return found
