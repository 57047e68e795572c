"""A rank that has said much at once, as after a network that stood still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from core.api.answers import WAITING, Answers
from core.bus import Bus
from core.options import Options
from core.remote.machine import Exit
from core.request import Prompt, Sampling
from core.run.rank import Rank

BURST = 5 * WAITING


class Burst:
    """A process of which all is there to be read before anybody does; and its machine."""

    python = "python"

    async def ship(self, *_: object) -> str:
        return ""

    async def start(self, *_: object) -> Burst:
        return self

    def write(self, _: bytes) -> None: ...

    def end(self) -> None: ...

    async def lines(self) -> AsyncIterator[bytes]:
        for token in range(BURST):
            yield b'{"ev": "tokens", "id": "r", "ids": [%d], "text": "x"}' % token
        yield b'{"ev": "done", "id": "r", "why": "length", "tokens": %d}' % BURST
        yield b'{"ev": "exit", "code": 0}'

    async def errors(self) -> AsyncIterator[bytes]:
        return
        yield b""

    async def wait(self) -> Exit:
        return Exit(0)


class Engine:
    def __init__(self) -> None:
        self.bus = Bus()

    def submit(self, *_: object) -> str:
        return "r"

    def withdraw(self, _: str) -> None: ...


async def test_a_client_that_reads_is_told_all_of_a_burst() -> None:
    engine, machine = Engine(), Burst()
    here: Any = machine
    rank = Rank("run", 0, "here", here, engine.bus.publish)
    with Answers(engine).open(Prompt(prompt="x"), Sampling()) as answer:

        async def read() -> list[int]:
            return [piece.ids[0] async for piece in answer.pieces()]

        reading = asyncio.create_task(read())
        await rank.start({}, Options())
        async with asyncio.timeout(30):
            said = await reading
    assert not answer.overrun.is_set()
    assert said == list(range(BURST))
    await rank.stop(5.0)
