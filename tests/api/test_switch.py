"""The API's switch in a live console."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from openai import APIConnectionError, AsyncOpenAI

from core.text import clean
from tests.e2e.rehearsed import rehearsed
from tests.e2e.until import LIMIT_S


async def test_the_api_is_served_while_it_is_switched_on(tiny: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("EXO_TUI_TOKEN", raising=False)
    async with rehearsed(tiny, 1, tmp_path) as live:
        alone = await live.answered(await live.asked("Hello"))
        live.cluster.serve()
        state = await live.until(lambda state: state.api, "the API on")
        assert state.api.url.startswith("http://127.0.0.1:")
        client = AsyncOpenAI(base_url=state.api.url, api_key="none", timeout=LIMIT_S, max_retries=0)
        say = [{"role": "user", "content": "Hello"}]
        asked = {"model": tiny.name, "messages": say, "max_tokens": 24, "temperature": 0.0}
        answer = await client.chat.completions.create(**asked)
        assert clean(answer.choices[0].message.content) == alone.text

        live.cluster.serve()
        await live.until(lambda state: state.api is None, "the API off")
        with pytest.raises(APIConnectionError):
            await client.chat.completions.create(**asked)
        await client.close()

        live.cluster.serve()
        state = await live.until(lambda state: state.api, "the API on again")
        host, _, port = state.api.url.removeprefix("http://").removesuffix("/v1").partition(":")
    with pytest.raises(OSError):
        await asyncio.open_connection(host, int(port))
