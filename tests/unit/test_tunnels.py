"""What ranks send each other through the console: here between two ports of this computer."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from core.remote.local import LocalMachine, LocalStream
from core.remote.machine import LOOPBACK
from core.run.tunnels import Tunnels

LIMIT = 20.0


class Rank(LocalMachine):
    """A machine that counts how often its rank was called in vain."""

    def __init__(self, folder: Path) -> None:
        super().__init__("python", folder)
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            self.port = int(probe.getsockname()[1])
        self.refused = asyncio.Event()

    async def call(self, port: int) -> LocalStream:
        try:
            return await super().call(port)
        except OSError:
            self.refused.set()
            raise


async def test_a_rank_that_listens_later_gets_what_was_sent_before(tmp_path: Path) -> None:
    first, second = Rank(tmp_path), Rank(tmp_path)
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.read(100))
        writer.write(b"and you")
        writer.close()

    tunnels = Tunnels()
    async with asyncio.timeout(LIMIT):
        [[own, other], _] = await tunnels.open([first, second], [first.port, second.port])
        assert own == (LOOPBACK, first.port)
        near = await first.call(other[1])
        await near.write(b"well met")
        await second.refused.wait()

        async with await asyncio.start_server(answer, LOOPBACK, second.port):
            assert await heard.get() == b"well met"
            assert await near.read(100) == b"and you"
            assert await near.read(100) == b"", "the other end was closed"
        await tunnels.close()


async def test_nothing_is_left_of_a_tunnel_to_a_rank_that_never_listens(tmp_path: Path) -> None:
    first, second = Rank(tmp_path), Rank(tmp_path)
    tunnels = Tunnels()
    async with asyncio.timeout(LIMIT):
        before = asyncio.all_tasks()
        [[_, (_, port)], _] = await tunnels.open([first, second], [first.port, second.port])
        near = await first.call(port)
        await second.refused.wait()
        await tunnels.close()
        assert await near.read(100) == b""
        with pytest.raises(OSError):
            await first.call(port)
        assert asyncio.all_tasks() <= before
