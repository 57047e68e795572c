"""Launch a plan: a worker a device, phase by phase with time limits, until nothing of it is left alive."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import asdict, replace

from core import events as ev
from core.models.spec import ModelSpec
from core.models.stage import place
from core.options import Options
from core.plan.backend import RDMA, choose
from core.plan.check import Held, certify, unlike
from core.plan.memory import weights
from core.plan.plan import Plan, PlanError, Wire
from core.remote.machine import Machine
from core.request import Prompt, Sampling
from core.run.orders import orders
from core.run.rank import Publish, Rank
from core.run.tunnels import Tunnels, why_not
from core.run.watch import Limits, verdict
from core.text import clean_line

REPORT_S = 0.25
STOP_S = 8.0
"""SIGTERM, two seconds, SIGKILL, three more: then the guard has given up too."""
GONE_S = 0.1
"""Within which a connection that broke is known to have."""
LOOK = 0.05
"""Seconds between two looks at the ranks."""
POOR_LINK = 1e6
"""Bytes a second that even a weak wireless network carries."""
STALLED_S = 1.0
"""A look that comes so late says something about this computer and nothing about the ranks."""


class LaunchError(Exception):
    """The run did not come up; the text names the rank, its device and what it said."""


class NotConnected(LaunchError):
    """The ranks did not meet."""


class Work(NamedTuple):
    """How far an answer is: prompt tokens of so many, then tokens."""

    doing: ev.Doing
    done: int = 0
    total: int = 0


class Begun(NamedTuple):
    """What an earlier run has said of an answer, and after how long it began to."""

    ids: Sequence[int]
    ttft_s: float | None


Price = Callable[[Plan, Sequence[str]], Plan]
"""The plan with its figures, and what to say of it after something."""


def unpriced(plan: Plan, notes: Sequence[str]) -> Plan:
    """The plan without figures, where nobody has any."""
    return replace(plan, forecast=None, why=tuple(notes))


class Run:
    """One launched plan. `publish` receives everything that happens."""

    def __init__(
        self,
        plan: Plan,
        spec: ModelSpec,
        machines: Mapping[str, Machine],
        publish: Publish,
        limits: Limits | None = None,
        wires: Sequence[Wire] = (),
        options: Options | None = None,
        room: Mapping[str, int] | None = None,
        priced: Price = unpriced,
    ) -> None:
        """`wires` between the machines as they are now: RDMA is set up by them. `room`: bytes
        that weights may take, by device, should they be dequantised. `priced`: for a plan that another
        backend carries than was planned; called in a thread."""
        self.id = secrets.token_hex(4)
        self.plan = plan
        self._spec = spec
        self._publish = publish
        limits = limits or Limits()
        handed_on = Sampling().chunk * spec.hidden * 4
        self._limits = replace(limits, transfer=limits.transfer + handed_on / POOR_LINK)
        self._work: dict[str, Work] = {}
        """Answers being made."""
        self._begun: dict[str, Begun] = {}
        self._looked = time.monotonic()
        self._started = time.time()
        self._placing: asyncio.Future[list[str | BaseException]] | None = None
        self._stop: asyncio.Task[None] | None = None
        self._asked = 0
        self._machines = machines
        self._wires = wires
        self._options = options or Options()
        self._room = room or {}
        self._priced = priced
        self._tunnels = Tunnels()
        self.ranks = self._fresh()

    @property
    def stopping(self) -> bool:
        """It is being ended, or is over."""
        return self._stop is not None

    def _fresh(self) -> list[Rank]:
        return [
            Rank(self.id, rank, post.device, self._machines[post.device], self._hear)
            for rank, post in enumerate(self.plan.posts)
        ]

    async def start(self) -> None:
        """Bring every rank to ready. Raises LaunchError after stopping what had started."""
        self._say_started()
        try:
            try:
                await self._bring_up()
            except NotConnected as error:
                if self.stopping:
                    raise
                await self._go_without_rdma(str(error))
                await self._bring_up()
        except LaunchError as error:
            await self.stop(str(error), failed=True)
            raise
        except asyncio.CancelledError:
            await self.stop("the launch was interrupted")
            raise
        except Exception as error:  # a defect of ours, which shall leave no workers behind
            await self.stop(clean_line(f"{type(error).__name__}: {error}"), failed=True)
            raise

    async def _go_without_rdma(self, reason: str) -> None:
        """Start over on what carries the same stages otherwise, and say so."""
        await asyncio.gather(*(rank.stop(STOP_S) for rank in self.ranks))
        carrier = choose(self.plan.stages)
        why = f"RDMA did not come up, {carrier.backend} carries it instead: {reason}"
        self._alert("warning", f"run {self.id}", why)
        plan = replace(self.plan, backend=carrier.backend)
        priced = await asyncio.to_thread(self._priced, plan, (why,))
        if self.stopping:
            raise LaunchError("it was stopped")
        self.plan = replace(plan, forecast=priced.forecast, why=priced.why)
        self.ranks = self._fresh()
        self._say_started()

    def _say_started(self) -> None:
        self._publish(ev.RunStarted(t=time.time(), run=self.id, plan=self.plan, options=self._options))

    async def _bring_up(self) -> None:
        """Raises LaunchError; NotConnected where it is RDMA that did not come up."""
        tunnel = self._options.tunnel
        if tunnel and (reason := why_not(self.plan)):
            raise LaunchError(reason)
        paths = await self._place()
        machines = [rank.machine for rank in self.ranks]
        try:
            told = orders(self.plan, machines, paths, self._wires, tunnel=tunnel)
        except PlanError as error:
            raise NotConnected(str(error)) from None
        for rank, post in zip(self.ranks, self.plan.posts, strict=True):
            rank.gigabytes = weights(self._spec, post.start, post.end, post.parts) / 1e9
            rank.stage = post.stage if post.parts > 1 else None
        room = self._room if self._options.dequantise else {}
        more = {
            "beat": self._limits.beat,
            "kv_bits": self._spec.kv_bits,
            "wired": self._options.wired,
            "prefill_share": self._options.prefill_share,
        }
        results = await asyncio.gather(
            *(
                rank.start({**order, **more, "room": room.get(rank.device, 0)}, self._options)
                for rank, order in zip(self.ranks, told, strict=True)
            ),
            return_exceptions=True,
        )
        for rank, result in zip(self.ranks, results, strict=True):
            if isinstance(result, BaseException):
                text = f"rank {rank.rank} on {rank.device} did not start: {result}"
                raise await self._refusal(rank, text)

        self._looked = time.monotonic()
        await self._reach(lambda rank: rank.listening is not None)
        hellos = {
            f"rank {r.rank} on {r.device}": (r.hello.mlx, r.hello.mlx_lm) for r in self.ranks if r.hello
        }
        if reason := unlike(hellos):
            raise LaunchError(reason)
        peers = [(r.listening.address, r.listening.port) for r in self.ranks if r.listening]
        known = [peers] * len(peers)
        if tunnel:
            try:
                known = await self._tunnels.open(machines, [port for _, port in peers])
            except OSError as error:
                raise LaunchError(str(error)) from None
        token = secrets.token_hex(32)
        for rank, others in zip(self.ranks, known, strict=True):
            rank.send(op="connect", peers=others, token=token)
            rank.turn()
        if self.plan.backend in RDMA:
            try:
                await self._reach(lambda rank: rank.phase in ("load", "warmup", "ready"), last=False)
            except LaunchError as error:
                raise NotConnected(str(error)) from None
        await self._reach(lambda rank: rank.phase == "ready")
        held = [
            Held(rank.rank, rank.device, said.start, said.end, said.digest, said.part, said.parts)
            for rank in self.ranks
            if (said := rank.loaded)
        ]
        try:
            certificate = certify(self.plan, held)
        except PlanError as error:
            raise LaunchError(str(error)) from None
        now = time.time()
        self._publish(ev.RunReady(t=now, run=self.id, certificate=certificate, seconds=now - self._started))

    async def _place(self) -> list[str]:
        """Where each rank finds what its stage needs of the model; copied to where it is not."""
        self._placing = asyncio.gather(
            *(
                place(rank.machine, self._spec, post.start, post.end, self._copying(rank))
                for rank, post in zip(self.ranks, self.plan.posts, strict=True)
            ),
            return_exceptions=True,
        )
        try:
            results = await self._placing
        except asyncio.CancelledError:
            if self.stopping:
                raise LaunchError("it was stopped") from None
            raise
        paths: list[str] = []
        for rank, result in zip(self.ranks, results, strict=True):
            if isinstance(result, OSError):
                raise await self._refusal(rank, f"{rank.device}: {result}")
            if isinstance(result, BaseException):
                raise result
            paths.append(result)
        return paths

    def _copying(self, rank: Rank) -> Callable[[int, int], None]:
        """Says how far the copy of a rank's part of the model is, some times a second."""
        said = 0.0

        def report(done: int, total: int) -> None:
            nonlocal said
            if (now := time.monotonic()) - said > REPORT_S or done == total:
                said = now
                self._publish(
                    ev.RankPhased(
                        t=time.time(), run=self.id, rank=rank.rank, phase="copy", done=done, total=total
                    )
                )

        return report

    async def _refusal(self, rank: Rank, text: str) -> LaunchError:
        """A rank that could not even be started, and whether its device was lost."""
        fault: ev.Fault = "failed"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GONE_S):
                await rank.machine.gone()
                fault = "lost"
        if not self.stopping:
            self._publish(
                ev.RunBlamed(
                    t=time.time(), run=self.id, fault=fault, rank=rank.rank, device=rank.device,
                    doing="starting", text=text,
                )
            )  # fmt: skip
        return LaunchError(text)

    async def _reach(self, reached: Callable[[Rank], bool], *, last: bool = True) -> None:
        """Wait until every rank has `reached` the next point; raise LaunchError naming the culprit if not.

        `last`: nothing else will be tried, so the culprit is published.
        """
        while not all(reached(rank) for rank in self.ranks):
            if self.stopping:
                raise LaunchError("it was stopped")
            if blamed := self._blame(last=last):
                raise LaunchError(blamed)
            await asyncio.sleep(LOOK)

    async def watch(self) -> None:
        """Return when the run is over: somebody is to blame, which stops all, or `stop` was called."""
        while not self.stopping:
            if blamed := self._blame():
                await self.stop(blamed, failed=True)
                return
            await asyncio.sleep(LOOK)

    def _blame(self, *, last: bool = True) -> str:
        """Why the run does not get on, published with its culprit if that is the `last` word; "" while it
        does."""
        now = time.monotonic()
        if (late := now - self._looked - LOOK) > STALLED_S:
            for rank in self.ranks:
                rank.forgive(late)
        self._looked = now
        work = next(iter(self._work.values()), None)
        found = verdict([rank.facts(*(work or Work("idle"))) for rank in self.ranks], self._limits)
        if found is None or self.stopping:
            return ""
        if last:
            self._publish(ev.RunBlamed(t=time.time(), run=self.id, **asdict(found)))
        return found.text

    def _hear(self, event: ev.AnyEvent) -> None:
        """Keep in mind how far answers are, and pass on what ranks say."""
        match event:
            case ev.PrefillProgressed() if event.request in self._work:
                self._work[event.request] = Work("prefill", event.done, event.total)
            case ev.TokensStreamed() if event.request in self._work:
                before = self._work[event.request]
                count = before.done if before.doing == "decode" else 0
                self._work[event.request] = Work("decode", count + len(event.ids))
            case ev.RequestDone():
                self._work.pop(event.request, None)
                if begun := self._begun.pop(event.request, None):
                    event = replace(event, ttft_s=begun.ttft_s)
            case _:
                pass
        self._publish(event)

    def generate(self, request: str, prompt: Prompt, sampling: Sampling, begun: Begun | None = None) -> None:
        """Ask every rank for an answer, or the rest of it; only the first one is told the prompt."""
        self._asked += 1
        self._work[request] = Work("prefill")
        order = {"op": "generate", "id": request, "number": self._asked, **msgspec.to_builtins(sampling)}
        if begun is not None:
            self._begun[request] = begun
            order["resume"] = begun.ids
            order["max_tokens"] = sampling.max_tokens - len(begun.ids)
        self.ranks[0].send(**order, **msgspec.to_builtins(prompt))
        for rank in self.ranks[1:]:
            rank.send(**order)

    def answers(self, request: str) -> bool:
        """Whether it was asked for this answer, and is still about to give it."""
        return request in self._work and not self.stopping

    def cancel(self, request: str) -> None:
        """End an answer after the token being made."""
        for rank in self.ranks:
            rank.send(op="cancel", id=request)

    def order(self, requests: Sequence[str]) -> None:
        """Answer the requests that wait in this order; the first rank decides, alone."""
        self.ranks[0].send(op="order", ids=requests)

    async def stop(self, reason: str, *, failed: bool = False) -> None:
        """End every rank; returns when all are gone, whoever was the first to ask for it."""
        if self._stop is None:
            self._stop = asyncio.create_task(self._end(reason, failed))
        await asyncio.shield(self._stop)

    async def _end(self, reason: str, failed: bool) -> None:
        if failed:
            self._alert("error", f"run {self.id}", reason)
        if self._placing is not None:
            self._placing.cancel()  # a copy takes as long as it takes
        left = await asyncio.gather(*(rank.stop(STOP_S) for rank in self.ranks))
        await self._tunnels.close()
        for rank, why in zip(self.ranks, left, strict=True):
            if why:
                self._alert("error" if "reboot" in why else "warning", rank.device, why)
        self._publish(ev.RunStopped(t=time.time(), run=self.id, failed=failed, reason=reason))

    def _alert(self, level: ev.Level, subject: str, text: str) -> None:
        self._publish(ev.Alert(t=time.time(), level=level, subject=subject, text=text))
