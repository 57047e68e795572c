"""Guards and their workers as local processes: what the console does over ssh, over pipes."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Event = dict[str, Any]
LIMIT = 40.0  # seconds any wait may take
BEAT = 10.0  # seconds


class Rank:
    """One guard; `events` is all its worker said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[Event] = []
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def spawn(cls, package: Path, log: Path, lease: float = 60.0) -> Rank:
        with log.open("ab") as err:
            process = await asyncio.create_subprocess_exec(
                sys.executable, package / "guard.py", "--lease", str(lease),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=err, limit=1 << 24,
            )  # fmt: skip
        return cls(process)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._news:
                self.events.append(json.loads(line))
                self._news.notify_all()
        async with self._news:
            self.events.append({"ev": "closed"})
            self._news.notify_all()

    def send(self, op: str, **fields: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"op": op, **fields}).encode() + b"\n")

    def named(self, ev: str) -> list[Event]:
        return [one for one in self.events if one["ev"] == ev]

    async def until(self, true: Callable[[Event], bool]) -> Event:
        """The first event for which `true`, past or to come."""
        seen = 0

        def found() -> Event | None:
            nonlocal seen
            while seen < len(self.events):
                seen += 1
                if true(self.events[seen - 1]):
                    return self.events[seen - 1]
            return None

        async def wait() -> Event:
            async with self._news:
                while (event := found()) is None:
                    if self.events and self.events[-1]["ev"] == "closed":
                        raise AssertionError(f"it ended first: {self.events[-4:]}")
                    await self._news.wait()
            return event

        return await asyncio.wait_for(wait(), LIMIT)

    async def ev(self, ev: str) -> Event:
        return await self.until(lambda one: one["ev"] == ev)

    async def end(self) -> Event:
        """Close stdin and wait; the guard's last line."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.ev("closed")
        await self.process.wait()
        return self.events[-2]


class Cluster:
    """A pipeline over `split` layers a rank."""

    def __init__(self, package: Path, logs: Path, model: Path, split: list[int], backend: str = "sockets"):
        self.package, self.logs, self.model, self.split, self.backend = package, logs, model, split, backend
        self.context = 0
        self.extra: dict[str, Any] = {}  # more fields of the start operation
        self.each: list[dict[str, Any]] = []  # the same, a rank
        self.ranks: list[Rank] = []
        self._requests = 0
        self._beats: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Cluster:
        await self.listen()
        await self.join()
        self._beats = asyncio.create_task(self._beat())
        return self

    async def _beat(self) -> None:
        """What a console does to keep ranks alive, for runs longer than a lease."""
        while True:
            await asyncio.sleep(BEAT)
            for rank in self.ranks:
                assert rank.process.stdin is not None
                rank.process.stdin.write(b"\n")

    async def __aexit__(self, *_: object) -> None:
        if self._beats is not None:
            self._beats.cancel()
        await asyncio.gather(*(rank.end() for rank in self.ranks))

    async def listen(self) -> None:
        """Up to `listening` on every rank."""
        size, start = len(self.split), 0
        for rank, count in enumerate(self.split):
            made = await Rank.spawn(self.package, self.logs / f"rank{rank}.log")
            self.ranks.append(made)
            order = {
                "rank": rank,
                "size": size,
                "start": start,
                "end": start + count,
                "model": str(self.model),
                "backend": self.backend,
                "address": "127.0.0.1",
                "context": self.context,
            }
            made.send("start", **order | self.extra | (self.each[rank] if self.each else {}))
            start += count
        self.ports = [(await rank.ev("listening"))["port"] for rank in self.ranks]

    async def join(self) -> None:
        """From `listening` to ready."""
        token = secrets.token_hex(32)
        for rank in self.ranks:
            rank.send("connect", peers=[["127.0.0.1", port] for port in self.ports], token=token)
        for rank in self.ranks:
            await rank.until(lambda one: one["ev"] == "phase" and one["phase"] == "ready")

    def ask(self, tokens: list[int] | None = None, max_tokens: int = 48, **fields: Any) -> str:
        """Send a request to every rank; its id."""
        self._requests += 1
        name = f"r{self._requests}"
        asked = {
            "id": name,
            "number": self._requests,
            "max_tokens": max_tokens,
            "temperature": 0.0,
            "top_p": 1.0,
            "seed": None,
            "chunk": 16,
        }
        if tokens is not None:
            asked["tokens"] = tokens
        for rank in self.ranks:
            rank.send("generate", **asked | fields)
        return name

    async def answer(self, name: str) -> tuple[list[int], Event]:
        """The ids a request gave, and its `done`."""
        leader = self.ranks[0]
        done = await leader.until(lambda one: one["ev"] == "done" and one["id"] == name)
        return [i for one in leader.named("tokens") if one["id"] == name for i in one["ids"]], done

    async def generate(self, tokens: list[int] | None = None, max_tokens: int = 48, **fields: Any):
        return await self.answer(self.ask(tokens, max_tokens, **fields))
