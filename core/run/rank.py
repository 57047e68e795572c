"""One rank from the console's side: its process, what it says, and the beats that keep it alive."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import asdict

import core.worker
from core import events as ev
from core.options import Options
from core.remote.local import LocalMachine
from core.remote.machine import Exit, Machine, Process
from core.run import protocol
from core.run.watch import Facts
from core.text import clean, clean_line

LEASE = 8.0
"""Seconds a worker outlives the console's silence."""

BEAT = 2.0
LOOK_S = 3.0
"""For a look at a machine's processes, or for the word why it was lost."""

LAST_LINES = 5
BREATH = 64
"""Lines that may lie ready are taken in one go: then those have a turn who wait for what they say."""

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
        self.hello: protocol.Hello | None = None
        self.listening: protocol.Listening | None = None
        self.loaded: protocol.Loaded | None = None
        self.lapped: list[protocol.Lapped] = []
        self.error = ""
        """What the rank said went wrong, if it did."""
        self.phase: ev.Phase = "starting"
        self.exit: Exit | None = None
        self.pid: int | None = None
        self.gigabytes = 0.0
        """Of weights in its stage."""
        self.stage: int | None = None
        """See Facts."""
        self.owes = True
        """See Facts."""
        self.reason = ""
        """Why the connection to it ended."""
        self._run = run
        self._publish = publish
        self._process: Process | None = None
        self._starting = asyncio.Lock()
        """Held until it is known whether there is a process."""
        self._over = False
        """`stop` was called."""
        self._late = False
        """And has not waited for the process being started: nobody will end it."""
        self._tasks: list[asyncio.Task[None]] = []
        self._last_words: protocol.Exited | None = None
        now = time.monotonic()
        self._heard = self._since = self._beaten = now
        self._gone = self._halted = 0.0
        self._doing: ev.Doing = "starting"
        """Its phase, the last one when it is gone."""
        self._steps = (0, 0)
        self._beat_said: protocol.Beat | None = None
        self._blocks = False
        self._lost: int | None = None
        self._refused = False
        self._log: deque[str] = deque(maxlen=LAST_LINES)

    async def start(self, order: Mapping[str, object], options: Options) -> None:
        """Ship the worker, start it and give it its first order. Raises OSError, also when it was stopped."""
        async with self._starting:
            folder = await self.machine.ship(worker_files(), "worker")
            if self._over:
                raise OSError("it was stopped")
            argv = [self.machine.python, "-u", "worker/guard.py", "--lease", str(LEASE), *options.guard]
            process = await self.machine.start(argv, folder)
            if self._late:
                process.end()
                raise OSError("it was stopped")
            self._process = process
            self._blocks = order.get("backend") == "ring"
            # What came before, a copy of the model perhaps, was not its time.
            self._heard = self._since = self._beaten = time.monotonic()
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

    def turn(self) -> None:
        """From now on it is this rank's turn, see `Facts.owes`."""
        self.owes, self._since = True, time.monotonic()

    def forgive(self, seconds: float) -> None:
        """The console itself stood still for so long and heard nobody."""
        self._heard += seconds
        self._beaten += seconds
        self._since += seconds
        if self._halted:
            self._halted += seconds

    def facts(self, doing: ev.Doing = "idle", done: int = 0, total: int = 0) -> Facts:
        """What is known of it; `doing` and its progress are taken for what it does once it is ready."""
        now = time.monotonic()
        ready = self._doing == "ready"
        beat = self._beat_said
        return Facts(
            rank=self.rank,
            device=self.device,
            stage=self.stage,
            here=isinstance(self.machine, LocalMachine),
            doing=doing if ready else self._doing,
            done=done if ready else self._steps[0],
            total=total if ready else self._steps[1],
            since=now - self._since,
            owes=self.owes and not ready,
            gigabytes=self.gigabytes,
            heard=now - self._heard,
            beats=beat is not None,
            blocked=self._blocks and self.phase == "connect",
            state=beat.state if beat else "busy",
            age=beat.age + now - self._beaten if beat else 0.0,
            stopped=now - self._halted if self._halted else None,
            exit=self.exit,
            gone=now - self._gone if self._gone else 0.0,
            error=self.error or (self._last_words.why if self._last_words else ""),
            lost=self._lost,
            refused=self._refused,
            reason=self.reason,
            log=tuple(self._log),
        )

    async def stop(self, grace: float) -> str:
        """Close the control channel, which makes the guard end the worker; SIGKILL after `grace` seconds.

        Returns what could not be made sure of, "" when the worker is gone.
        """
        self._over = True
        try:
            async with asyncio.timeout(grace), self._starting:
                pass  # one that is just being started is ended like any other
        except TimeoutError:
            self._late = True
            return f"does not answer; its rank {self.rank} ends by itself within {LEASE:.0f} s of its start"
        if self._process is None:
            return ""
        self._process.end()
        await asyncio.wait(self._tasks[-1:], timeout=grace)  # also where that one died of an error
        if self.exit is None:
            self._process.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        words = self._last_words
        if words is not None and words.why != "stuck":
            return ""
        if self.exit == Exit(None, None):
            return f"cannot be reached; its rank {self.rank} ends by itself within {LEASE:.0f} s"
        if self.pid is not None and await alive(self.machine, self.pid):
            return f"cannot end rank {self.rank} (pid {self.pid}), not even by SIGKILL: it needs a reboot"
        return ""

    async def _beat(self) -> None:
        while self._process is not None:
            self._process.write(b"\n")
            await asyncio.sleep(BEAT)

    async def _errors(self) -> None:
        assert self._process is not None
        async for line in self._process.errors():
            text = clean(line.decode(errors="replace"), 500).rstrip()
            if text:
                self._log.append(text)
                self._publish(ev.RankLogged(t=time.time(), run=self._run, rank=self.rank, line=text))

    async def _listen(self) -> None:
        assert self._process is not None
        said = 0
        async for line in self._process.lines():
            self._heard = time.monotonic()
            try:
                self._take(protocol.decode(line))
            except ValueError as error:
                self._publish(
                    ev.Alert(t=time.time(), level="warning", subject=f"rank {self.rank}", text=str(error))
                )
            said += 1
            if said % BREATH == 0:
                await asyncio.sleep(0)
        ended = await self._process.wait()
        words = self._last_words
        reason = self.error or (words.why if words else "")
        if words is None and ended == Exit(None, None):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    self.reason = await self.machine.gone()
            reason = reason or f"the connection to {self.device} was lost"
        self.exit = Exit(words.code, words.signal) if words is not None else ended
        self._gone = time.monotonic()
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
                self.phase, self.hello = "hello", said
                self.pid = said.pid
                self._publish(ev.RankHello(t=now, run=run, rank=rank, **asdict(said)))
                self._publish(ev.RankPhased(t=now, run=run, rank=rank, phase="hello"))
            case protocol.PhaseSaid():
                if said.phase != self.phase:
                    self._since = time.monotonic()
                self.phase = said.phase
                if said.phase != "exited":
                    self._doing = said.phase
                self._steps = (said.done, said.total)
                self._publish(ev.RankPhased(t=now, run=run, rank=rank, **asdict(said)))
            case protocol.Loaded():
                self.loaded = said
                if said.packed_s is not None and said.float_s is not None:
                    chosen = "weights became float32" if said.dequantised else "weights stay packed"
                    packed, plain = (f"{one * 1e3:.3g} ms" for one in (said.packed_s, said.float_s))
                    text = f"{chosen}: what takes {packed} packed takes {plain} as float32"
                    subject = f"rank {rank} on {self.device}"
                    self._publish(ev.Alert(t=now, level="info", subject=subject, text=text))
                self._publish(ev.RankLoaded(t=now, run=run, rank=rank, **asdict(said)))
            case protocol.Beat():
                self._beat_said, self._beaten = said, time.monotonic()
                self._publish(ev.RankBeat(t=now, run=run, rank=rank, **asdict(said)))
            case protocol.Timed():
                self._publish(ev.RankTimed(t=now, rank=rank, **asdict(said)))
            case protocol.Prefill():
                self._publish(ev.PrefillProgressed(t=now, **asdict(said)))
            case protocol.Tokens():
                self._publish(ev.TokensStreamed(t=now, **asdict(said)))
            case protocol.Done():
                self._publish(ev.RequestDone(t=now, **asdict(said)))
            case protocol.Lapped():
                self.lapped.append(said)
            case protocol.Listening():
                self.listening = said
                self.owes = False  # until it is told where the others listen
            case protocol.Error():
                self.error = clean_line(f"{said.phase}: {said.text}", 500)
                self._lost = said.rank
                self._refused = said.kind == "refused"
            case protocol.Halted():
                self._halted = time.monotonic() if said.on else 0.0
            case protocol.Exited():
                self._last_words = said


async def alive(machine: Machine, pid: int) -> bool:
    """Whether a worker with this pid is still there; False too when nobody can be asked."""
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(LOOK_S):
            asked = await machine.start(["ps", "-o", "stat=,args=", "-p", str(pid)])
            asked.end()
            said = b" ".join([line async for line in asked.lines()]).strip()
            await asked.wait()
            # By its name, as a pid may have gone to another; and one that waits to be reaped holds nothing.
            return b"worker" in said and not said.startswith(b"Z")
    return False
