"""Launch a plan: a worker a device, phase by phase with time limits, until nothing of it is left alive."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping

import msgspec

from core import events as ev
from core.models.spec import ModelSpec
from core.models.stage import place
from core.plan.check import Held, certify
from core.plan.plan import Plan, PlanError
from core.remote.machine import Machine
from core.request import Prompt, Sampling
from core.run.orders import orders
from core.run.rank import Publish, Rank

START_S = 60.0
"""Importing mlx_lm takes 1.3 s on an idle core; several ranks on a loaded laptop take many times that."""
CONNECT_S = 30.0
LOAD_S = 60.0
LOAD_S_PER_GB = 20.0
"""A spinning or network disk reads some 50 MB/s."""
REPORT_S = 0.25
STOP_S = 5.0
SILENT_S = 5.0
"""Beats come every half second; a rank that misses ten is named."""


class LaunchError(Exception):
    """The run did not come up; the text names the rank, its device and what it said."""


class Run:
    """One launched plan. `publish` receives everything that happens."""

    def __init__(
        self, plan: Plan, spec: ModelSpec, machines: Mapping[str, Machine], publish: Publish
    ) -> None:
        self.id = secrets.token_hex(4)
        self.plan = plan
        self._spec = spec
        self._publish = publish
        self._started = time.time()
        self._stopping = False
        self._asked = 0
        self.ranks = [
            Rank(self.id, rank, post.device, machines[post.device], publish)
            for rank, post in enumerate(plan.posts)
        ]

    async def start(self) -> None:
        """Bring every rank to ready. Raises LaunchError after stopping what had started."""
        self._publish(ev.RunStarted(t=time.time(), run=self.id, plan=self.plan))
        try:
            await self._bring_up()
        except LaunchError as error:
            await self.stop(str(error), failed=True)
            raise
        except asyncio.CancelledError:
            await self.stop("the launch was interrupted")
            raise

    async def _bring_up(self) -> None:
        paths = await self._place()
        told = orders(self.plan, [rank.machine for rank in self.ranks], paths)
        results = await asyncio.gather(
            *(rank.start(order) for rank, order in zip(self.ranks, told, strict=True)),
            return_exceptions=True,
        )
        for rank, result in zip(self.ranks, results, strict=True):
            if isinstance(result, BaseException):
                raise LaunchError(f"rank {rank.rank} on {rank.device} did not start: {result}")

        await self._reach("listens", START_S, lambda rank: rank.listening is not None)
        peers = [(r.listening.address, r.listening.port) for r in self.ranks if r.listening]
        token = secrets.token_hex(32)
        for rank in self.ranks:
            rank.send(op="connect", peers=peers, token=token)
        await self._reach("is connected", CONNECT_S, lambda rank: rank.phase not in ("hello", "connect"))
        limit = LOAD_S + LOAD_S_PER_GB * self._spec.weights / 1e9
        await self._reach("is ready", limit, lambda rank: rank.phase == "ready")
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
        results = await asyncio.gather(
            *(
                place(rank.machine, self._spec, post.start, post.end, self._copying(rank))
                for rank, post in zip(self.ranks, self.plan.posts, strict=True)
            ),
            return_exceptions=True,
        )
        paths: list[str] = []
        for rank, result in zip(self.ranks, results, strict=True):
            if isinstance(result, OSError):
                raise LaunchError(f"{rank.device}: {result}")
            if isinstance(result, BaseException):
                raise result
            paths.append(result)
        return paths

    def _copying(self, rank: Rank) -> Callable[[int, int], None]:
        """Says how far the copy of a rank's part of the model is, some times a second."""
        said = 0.0

        def report(done: int, total: int) -> None:
            nonlocal said
            if self._stopping:
                raise OSError("the launch was stopped while the model was being copied")
            if (now := time.monotonic()) - said > REPORT_S or done == total:
                said = now
                self._publish(
                    ev.RankPhased(
                        t=time.time(), run=self.id, rank=rank.rank, phase="copy", done=done, total=total
                    )
                )

        return report

    async def _reach(self, what: str, limit: float, reached: Callable[[Rank], bool]) -> None:
        """Wait until every rank has `reached` the next point; raise LaunchError naming who has not."""
        end = time.monotonic() + limit
        while behind := [rank for rank in self.ranks if not reached(rank)]:
            for rank in self.ranks:
                if rank.exit is not None:
                    raise LaunchError(await self._obituary())
            if time.monotonic() > end:
                names = ", ".join(f"rank {rank.rank} on {rank.device} (in {rank.phase})" for rank in behind)
                raise LaunchError(f"after {limit:.0f} s not every rank {what}: {names}")
            await asyncio.sleep(0.02)

    async def _obituary(self) -> str:
        """Who died, and of what: the rank with a reason of its own before those it took along."""
        await asyncio.sleep(0.1)  # the others' last words are on their way
        dead = [rank for rank in self.ranks if rank.exit is not None]
        first = min(dead, key=lambda rank: (rank.error.startswith("wire"), not rank.error, rank.rank))
        assert first.exit is not None
        how = first.exit.signal or (
            f"code {first.exit.code}" if first.exit.code is not None else "connection lost"
        )
        return f"rank {first.rank} on {first.device} ended ({how}){': ' + first.error if first.error else ''}"

    async def watch(self) -> None:
        """Return when the run is over: a rank ended, which stops the others, or `stop` was called."""
        silent: set[int] = set()
        while not self._stopping:
            if any(rank.exit is not None for rank in self.ranks):
                await self.stop(await self._obituary(), failed=True)
                return
            now = time.monotonic()
            for rank in self.ranks:
                if now - rank.heard < SILENT_S:
                    silent.discard(rank.rank)
                elif rank.rank not in silent:
                    silent.add(rank.rank)
                    self._alert(
                        "error", f"rank {rank.rank}", f"{rank.device} has been silent for {SILENT_S:.0f} s"
                    )
            await asyncio.sleep(0.05)

    def generate(self, request: str, prompt: Prompt, sampling: Sampling) -> None:
        """Ask every rank for an answer; only the first one is told the prompt."""
        self._asked += 1
        order = {"op": "generate", "id": request, "number": self._asked, **msgspec.to_builtins(sampling)}
        self.ranks[0].send(**order, **msgspec.to_builtins(prompt))
        for rank in self.ranks[1:]:
            rank.send(**order)

    def cancel(self, request: str) -> None:
        """End an answer after the token being made."""
        for rank in self.ranks:
            rank.send(op="cancel", id=request)

    async def stop(self, reason: str, *, failed: bool = False) -> None:
        """End every rank and wait until it is gone."""
        if self._stopping:
            return
        self._stopping = True
        if failed:
            self._alert("error", f"run {self.id}", reason)
        await asyncio.gather(*(rank.stop(STOP_S) for rank in self.ranks))
        self._publish(ev.RunStopped(t=time.time(), run=self.id, failed=failed, reason=reason))

    def _alert(self, level: ev.Level, subject: str, text: str) -> None:
        self._publish(ev.Alert(t=time.time(), level=level, subject=subject, text=text))
