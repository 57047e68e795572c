"""One rank from the console's side: its process, what it says, and the beats that keep it alive."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import asdict

import core.worker
from core import events as ev
from core.remote.machine import Exit, Machine, Process
from core.run import protocol
from core.text import clean, clean_line

LEASE = 8.0
"""Seconds a worker outlives the console's silence."""

BEAT = 2.0

Publish = Callable[[ev.AnyEvent], None]


def worker_files() -> Mapping[str, bytes]:
    """The worker package as it is shipped."""
    folder = Path(core.worker.__file__ or "").parent
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.py"))}


class Rank:
    """A worker under its guard on one machine. Everything it says becomes events."""

    def __init__(self, run: str, rank: int, device: str, machine: Machine, publish: Publish) -> None:
        self.rank = rank
        self.device = device
        self.machine = machine
        self.listening: protocol.Listening | None = None
        self.loaded: protocol.Loaded | None = None
        self.error = ""
        """What the rank said went wrong, if it did."""
        self.phase: ev.Phase = "starting"
        self.exit: Exit | None = None
        self.heard = time.monotonic()
        """When it last said anything."""
        self._run = run
        self._publish = publish
        self._process: Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._last_words: protocol.Exited | None = None

    async def start(self, order: Mapping[str, object]) -> None:
        """Ship the worker, start it and give it its first order. Raises OSError."""
        folder = await self.machine.ship(worker_files(), "worker")
        argv = [self.machine.python, "-u", "worker/guard.py", "--lease", str(LEASE)]
        self._process = await self.machine.start(argv, folder)
        self.send(op="start", **order)
        self._tasks = [
            asyncio.create_task(self._beat()),
            asyncio.create_task(self._errors()),
            asyncio.create_task(self._listen()),
        ]

    def send(self, **order: object) -> None:
        """Queue an order on the control channel."""
        if self._process is not None:
            self._process.write(msgspec.json.encode(order) + b"\n")

    async def stop(self, grace: float) -> None:
        """Close the control channel, which makes the guard end the worker; SIGKILL after `grace` seconds."""
        if self._process is None:
            return
        self._process.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await asyncio.shield(self._tasks[-1])
        if self.exit is None:
            self._process.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ended(self) -> None:
        """Wait until the process is gone."""
        await asyncio.shield(self._tasks[-1])

    async def _beat(self) -> None:
        while self._process is not None:
            self._process.write(b"\n")
            await asyncio.sleep(BEAT)

    async def _errors(self) -> None:
        assert self._process is not None
        async for line in self._process.errors():
            text = clean(line.decode(errors="replace"), 500).rstrip()
            if text:
                self._publish(ev.RankLogged(t=time.time(), run=self._run, rank=self.rank, line=text))

    async def _listen(self) -> None:
        assert self._process is not None
        async for line in self._process.lines():
            self.heard = time.monotonic()
            try:
                self._take(protocol.decode(line))
            except ValueError as error:
                self._publish(
                    ev.Alert(t=time.time(), level="warning", subject=f"rank {self.rank}", text=str(error))
                )
        self.exit = await self._process.wait()
        words = self._last_words
        if words is not None:
            self.exit = Exit(words.code, words.signal)
        reason = self.error or (words.why if words else "")
        if not reason and self.exit.code is None and self.exit.signal is None:
            reason = f"the connection to {self.device} was lost"
        self.phase = "exited"
        self._publish(
            ev.RankExited(
                t=time.time(),
                run=self._run,
                rank=self.rank,
                code=self.exit.code,
                signal=self.exit.signal,
                reason=reason,
            )
        )

    def _take(self, said: protocol.Line) -> None:
        """Keep what the launch waits for, publish the rest: events carry the same fields."""
        now, run, rank = time.time(), self._run, self.rank
        match said:
            case protocol.Hello():
                self.phase = "hello"
                self._publish(ev.RankHello(t=now, run=run, rank=rank, **asdict(said)))
                self._publish(ev.RankPhased(t=now, run=run, rank=rank, phase="hello"))
            case protocol.PhaseSaid():
                self.phase = said.phase
                self._publish(ev.RankPhased(t=now, run=run, rank=rank, **asdict(said)))
            case protocol.Loaded():
                self.loaded = said
                self._publish(ev.RankLoaded(t=now, run=run, rank=rank, **asdict(said)))
            case protocol.Beat():
                self._publish(ev.RankBeat(t=now, run=run, rank=rank, **asdict(said)))
            case protocol.Timed():
                self._publish(ev.RankTimed(t=now, rank=rank, **asdict(said)))
            case protocol.Prefill():
                self._publish(ev.PrefillProgressed(t=now, **asdict(said)))
            case protocol.Tokens():
                self._publish(ev.TokensStreamed(t=now, **asdict(said)))
            case protocol.Done():
                self._publish(ev.RequestDone(t=now, **asdict(said)))
            case protocol.Listening():
                self.listening = said
            case protocol.Error():
                self.error = clean_line(f"{said.phase}: {said.text}", 500)
            case protocol.Exited():
                self._last_words = said
