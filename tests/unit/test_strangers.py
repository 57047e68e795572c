"""Who the API's server answers where it has no token, and for whom it keeps a place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.api import server
from core.api.server import bind, serving
from core.bus import Bus
from core.request import NotTaken, Prompt, Sampling, Source

HELLO = b'{"messages": [{"role": "user", "content": "Hello"}]}'
JSON = "Content-Type: application/json"
LIMIT = 20.0


class Engine:
    """One that says when it was asked: with what nobody else here says."""

    def __init__(self) -> None:
        self.bus = Bus()

    def submit(self, prompt: Prompt, sampling: Sampling, source: Source) -> str:
        raise NotTaken("it was asked")

    def withdraw(self, request: str) -> None: ...


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    with bind("127.0.0.1", 0, "") as bound:
        async with serving(bound, Engine(), "toy", ""):
            yield bound.getsockname()[1]


async def status(port: int, *headers: str) -> int:
    """What comes of a prompt with these headers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = ["POST /v1/chat/completions HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {len(HELLO)}"]
    writer.write("\r\n".join([*head, *headers, "", ""]).encode() + HELLO)
    line = await reader.readline()
    writer.close()
    return int(line.split()[1])


@pytest.mark.parametrize(
    ("headers", "answered"),
    [
        ((JSON,), 503),
        (("Content-Type: application/json; charset=utf-8",), 503),
        ((JSON, "Origin: http://localhost:3000"), 503),
        ((JSON, "Origin: http://[::1]:3000"), 503),
        ((), 415),
        (("Content-Type: text/plain",), 415),
        ((JSON, "Origin: https://page.example"), 403),
        ((JSON, "Origin: https://localhost.page.example"), 403),
        ((JSON, "Origin: null"), 403),
        ((JSON, "Origin: http://[::1"), 403),
    ],
)
async def test_without_a_token_no_web_page_puts_a_prompt(headers: tuple[str, ...], answered: int) -> None:
    async with asyncio.timeout(LIMIT), listening() as port:
        assert await status(port, *headers) == answered


async def test_a_connection_that_asks_for_nothing_does_not_keep_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.05)
    async with asyncio.timeout(LIMIT), listening() as port:
        for begun in (b"", b"POST /v1/chat/completions HTTP/1.1\r\nHost: "):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun)
            assert await reader.read() == b""
            writer.close()
