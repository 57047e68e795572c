"""One device of the cluster: kept connected, its agent running, its samples and probes turned into events."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from core import events as ev
from core.probe import cables, frame, links, message, parse
from core.probe.preflight import preflight
from core.probe.readings import KEEPING, WIRING, Readings
from core.remote.connection import Unreachable
from core.remote.door import Refused
from core.remote.hostkeys import HostKeyChanged
from core.remote.machine import Machine, Process
from core.remote.provision import here
from core.text import clean_line
from core.ways import Way
from core.wiring import Wiring

BEAT = 3.0
"""A fifth of the agent's lease."""

PROBE_S = 15.0
END_S = 2.0
RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)

A = TypeVar("A", bound=message.Answer)
Publish = Callable[[ev.AnyEvent], None]
Reach = Callable[[], Awaitable[Machine]]


class DeviceLost(Exception):
    """The device, or its agent, went away; the member says so itself."""


class _NoPython(Exception):
    """The interpreter that runs the agent is not there."""


class Member:
    """A device by name. `run` keeps it in the cluster until cancelled."""

    def __init__(self, name: str, address: str, publish: Publish, reach: Reach, peer: str = "") -> None:
        self.name = name
        self.machine: Machine | None = None
        self.ports: dict[str, int] = {}
        """Ports where its agent echoes, by address."""
        self._deaf: dict[str, str] = {}
        """Why it cannot, by address."""
        self.readings = Readings("", shared=False)
        self.wiring: Wiring | None = None
        self.token = secrets.token_hex(16)
        self._address = address
        self._publish = publish
        self._reach = reach
        self._peer = peer
        self._detail = ""
        """What is to be said of it while it is ready."""
        self._ready = False
        self._gaps: dict[str, str] = {}
        self._agent: Process | None = None
        self._listens = asyncio.Event()
        """Not set while an order to listen is unanswered."""
        self._answers: dict[tuple[type[message.Answer], str], asyncio.Future[Any]] = {}
        """Answers awaited, by kind and id of the order."""
        self._numbers = itertools.count()
        self._wanted_again = asyncio.Event()

    @property
    def takes_orders(self) -> bool:
        """Whether its agent has answered the first one; a shell in place of Python never does."""
        return bool(self.ports or self._deaf)

    async def run(self) -> None:
        """Connect, listen to the agent, and come back when it is lost, ever more slowly."""
        failures = 0
        while True:
            self._wanted_again.clear()
            self._seen("connecting")
            reason, trouble, entered = "", None, math.inf
            try:
                self.machine = await self._reach()
                self._address = self.machine.address
                self._detail = ""
                entered = time.monotonic()
                reason = await self._attend(self.machine)
            except (Refused, HostKeyChanged) as error:
                self._seen("refused", str(error), _refusal(error))
                await self._wanted_again.wait()
                continue
            except Unreachable as error:
                reason, trouble = str(error), ev.Check(error.step, False, str(error), error.remedy)
            except OSError as error:
                reason = str(error)
            finally:
                await self._let_go()
            self._seen("lost", reason, trouble)
            if time.monotonic() - entered > RETRY_S[-1]:  # a login alone is no success
                failures = 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S[min(failures, len(RETRY_S) - 1)]):
                    await self._wanted_again.wait()
            failures += 1

    async def again(self) -> None:
        """Connect anew and at once, also to a device that was refused: something on it was changed."""
        self._wanted_again.set()
        if self.machine is not None:
            await self.machine.close()

    async def probe(self, target: Member, way: Way | None = None) -> bool:
        """Measure one burst of round trips to another device, and publish what came of it; whether anything
        was answered. Without a `way` it goes where SSH reaches the device."""
        machine = self.machine
        if machine is None or target.machine is None or self._agent is None:
            return False
        way = way or Way(target.machine.seen_from(machine))
        try:
            burst = links.burst(await self.tried(target, way))
        except DeviceLost:  # which is said elsewhere
            return False
        except ValueError as error:
            ends = {"source": self.name, "target": target.name, "address": way.address}
            self._publish(ev.LinkFailed(t=time.time(), reason=str(error), **ends))
            return False
        local = burst.local or way.local or machine.address
        path = cables.path(self.wiring, local, target.wiring, way.address)
        event = links.measured(
            burst, source=self.name, target=target.name, path=path, address=way.address, t=time.time()
        )
        self._publish(event)
        return isinstance(event, ev.LinkMeasured)

    async def tried(self, target: Member, way: Way, **more: object) -> message.Probed:
        """One burst, as the agent tells it. Raises ValueError with the reason, or DeviceLost."""
        try:
            async with asyncio.timeout(PROBE_S):
                port = await target.echoes_at(way.address)
                number, answer = self.expect(message.Probed)
                self.order(
                    op="probe", id=number, address=way.address, port=port, token=target.token,
                    source=way.local, **more,
                )  # fmt: skip
                return await answer
        except TimeoutError:
            raise ValueError(f"{self.name} did not report its probe") from None

    def expect(self, kind: type[A], number: str = "") -> tuple[str, asyncio.Future[A]]:
        """The id for an order, a new one unless it is to have a second answer, and the answer of that kind.

        Awaiting it raises DeviceLost where none will come.
        """
        number = number or str(next(self._numbers))
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        key = kind, number
        self._answers[key] = answer
        answer.add_done_callback(lambda _: self._answers.pop(key, None))
        if self._agent is None:
            _give_up(answer)
        return number, answer

    def order(self, **order: object) -> None:
        """Tell the agent to do something; nothing happens where it is gone."""
        if self._agent is not None:
            self._agent.write(msgspec.json.encode(order) + b"\n")

    async def echoes_at(self, address: str) -> int:
        """The port where the agent echoes at an address of its machine. Raises ValueError where it cannot."""
        if address not in self.ports:
            self._listens.clear()
            self.order(op="listen", addresses=[*self.ports, address], token=self.token)
            await self._listens.wait()
        if address not in self.ports:
            why = self._deaf.get(address, "its agent is gone")
            raise ValueError(f"{self.name} cannot listen on {address}: {clean_line(why)}")
        return self.ports[address]

    async def _attend(self, machine: Machine) -> str:
        """Run the agent until it or the machine is gone; returns why."""
        try:
            python = [machine.python, "-I", "-S", "-u", "-c", frame.BOOT]
            return await self._follow(machine, frame.guarded(python), frame.agent())
        except _NoPython:
            self._detail = f"there is no {machine.python}; name one with `python` in config.toml"
        try:
            return await self._follow(machine, ["sh", "-c", frame.shell_agent()], b"")
        except _NoPython:
            raise Refused(self._detail, "python", "P in the console makes one there") from None

    async def _follow(self, machine: Machine, argv: list[str], program: bytes) -> str:
        self._ready = False  # until a sample of this agent could be read
        self._agent = agent = await machine.start(argv)
        agent.write(program)
        self.order(op="listen", addresses=[machine.address], token=self.token)
        gone = asyncio.create_task(machine.gone())
        complaints = asyncio.create_task(_last_line(agent))
        listening = asyncio.create_task(self._listen(agent))
        beating = asyncio.create_task(self._beat(agent))
        looking = asyncio.create_task(self._look(machine))
        try:
            await asyncio.wait((gone, listening), return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                return gone.result()
            ended = await agent.wait()
            if ended.code == frame.NOT_FOUND:
                raise _NoPython
            return f"the agent ended ({ended.signal or ended.code}) {await complaints}".strip()
        finally:
            tasks = (gone, complaints, listening, beating, looking)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _see_off(agent)

    async def _look(self, machine: Machine) -> None:
        with contextlib.suppress(OSError):  # the machine is lost, which is said elsewhere
            self._publish(await preflight(machine, self.name, here(), time.time()))

    async def _beat(self, agent: Process) -> None:
        while True:
            agent.write(b"\n")
            await asyncio.sleep(BEAT)

    async def _listen(self, agent: Process) -> None:
        async for line in agent.lines():
            try:
                self._take(message.read(line))
            except ValueError as error:
                self._publish(
                    ev.Alert(t=time.time(), level="warning", subject=self.name, text=clean_line(str(error)))
                )

    def _take(self, said: message.Message) -> None:
        match said:
            case message.Facts():
                facts = parse.facts(said, self.name, time.time())
                self.readings = Readings(said.system, shared=facts.budget)
                self._publish(facts)
            case message.Read():
                self._note(said)
            case message.Sample():
                sample = self.readings.gauged(parse.sample(said, self.name, time.time()))
                if not self._ready:
                    self._ready = True
                    self._seen("ready", self._detail)
                self._publish(sample)
                self._own_up()
            case message.Listening():
                self.ports, self._deaf = dict(said.ports), dict(said.failed)
                self._listens.set()
            case message.Refused():
                raise ValueError(said.reason)
            case _:
                waiting = self._answers.get((type(said), str(said.id)))
                if waiting is not None and not waiting.done():
                    waiting.set_result(said)

    def _note(self, read: message.Read) -> None:
        """Publish what follows from a source's new words, where it is anything new."""
        now = time.time()
        self.readings.take(read, now)
        wiring = self.readings.wiring() if read.name in WIRING else self.wiring
        kept = self.readings.keeping(self.name, now) if read.name in KEEPING else None
        self._own_up()
        if wiring is not None and wiring != self.wiring:
            self.wiring = wiring
            self._publish(ev.DeviceWired(t=now, device=self.name, wiring=wiring))
        if kept is not None:
            self._publish(kept)

    def _own_up(self) -> None:
        """Publish what is not known, where that is something else than before."""
        if self.readings.gaps != self._gaps:
            self._gaps = dict(self.readings.gaps)
            self._publish(ev.DeviceGaps(t=time.time(), device=self.name, gaps=self._gaps))

    async def _let_go(self) -> None:
        machine, self.machine, self._agent = self.machine, None, None
        self.ports, self._deaf = {}, {}
        self._listens.set()
        for waiting in tuple(self._answers.values()):
            _give_up(waiting)
        if machine is not None:
            await machine.close()

    def _seen(self, status: ev.DeviceStatus, detail: str = "", trouble: ev.Check | None = None) -> None:
        self._publish(
            ev.DeviceSeen(
                t=time.time(),
                device=self.name,
                name=self.name,
                address=self._address,
                status=status,
                detail=detail,
                peer=self._peer,
                trouble=trouble,
            )
        )


def _give_up(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(DeviceLost())
        answer.exception()  # so that nobody complains where it is awaited no more


def _refusal(error: Refused | HostKeyChanged) -> ev.Check:
    if isinstance(error, HostKeyChanged):
        return ev.Check("host key", False, str(error), "find out why before you change anything")
    return ev.Check(error.step, False, str(error), error.remedy)


async def _see_off(process: Process) -> None:
    """End a process by its standard input, and wait until it is gone; SIGKILL when that takes too long."""
    process.end()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_S):
            await process.wait()
            return
    process.kill()


async def _last_line(process: Process) -> str:
    last = ""
    async for line in process.errors():
        last = clean_line(line.decode(errors="replace")) or last
    return last
