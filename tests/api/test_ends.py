"""Beside the console's conversation, and when the run or the server ends in the middle of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import APIError

from core.request import NotTaken, Prompt, Sampling
from tests.api.served import ENDLESS, Served, serving
from tests.e2e.processes import WORKER
from tests.e2e.rehearsed import rehearsed
from tests.e2e.until import LIMIT_S

LONG = Sampling(max_tokens=1500, ignore_eos=True)


async def test_the_chat_and_the_api_do_not_get_in_each_others_way(tiny: Path, tmp_path: Path) -> None:
    prompt = Prompt(messages=[{"role": "user", "content": "Hello"}])
    async with rehearsed(tiny, 1, tmp_path) as live:
        with pytest.raises(NotTaken, match="not running"):
            live.cluster.submit(prompt, LONG, "api")
        alone = await live.answered(await live.asked("Hello"))
        api = live.cluster.submit(prompt, LONG, "api")
        await live.until(lambda state: len(state.requests[api].ids) > 3, "the API's request at work")
        chat = await live.answered(await live.asked("Hello"))
        assert chat.ids == alone.ids
        beside = live.bus.state.requests[api]
        assert beside.done is None, "it was to go on all the while"
        assert live.bus.state.active is None

        waiting = await live.asked("Hello", tokens=0)
        live.cluster.ask("And again?")
        assert live.bus.state.alerts[-1].text == "the model is still answering"
        live.cluster.cancel()
        state = await live.until(lambda state: state.requests[waiting].done, "the chat's own answer ended")
        assert state.requests[api].done is None
        live.cluster.withdraw(api)
        state = await live.until(lambda state: state.requests[api].done, "the API's request ended")
        assert state.requests[api].done.why == "cancel"


def test_a_run_that_dies_is_told_to_its_clients_and_ends_the_server(command, tiny: Path) -> None:
    command.configure('[recover]\npolicy = "off"\n')
    with serving(command, tiny, "--demo-devices", 2, "--split", "2,4") as served:
        stream = _stream(served)
        command.alive(WORKER)[0].kill()
        with pytest.raises(APIError, match="on demo-"):
            list(stream)
        _, err = served.process.communicate(timeout=LIMIT_S)
        assert served.process.returncode == 1
        assert err.splitlines()[-1].startswith("exo-tui: rank "), err


def test_a_server_that_is_ended_says_so_to_its_clients(command, tiny: Path) -> None:
    with serving(command, tiny, "--demo-devices", 1) as served:
        stream = _stream(served)
        served.process.terminate()  # as service managers do
        with pytest.raises(APIError, match="the server was stopped"):
            list(stream)
        _, err = served.process.communicate(timeout=LIMIT_S)
        assert (served.process.returncode, err) == (130, "exo-tui: interrupted\n")


def _stream(served: Served) -> Iterator[object]:
    """An answer that has begun and does not end."""
    asked = {"model": served.model, "prompt": "x", "stream": True}
    stream = iter(served.client().completions.create(**asked, **ENDLESS))
    next(stream)
    return stream
