"""A live cluster in this process, on real rehearsed devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from core.bus import Bus
from core.cluster import Cluster
from core.config import Config, Recover
from core.models.spec import read
from core.rehearsal.rehearsal import BUDGETS, Rehearsal
from core.request import Sampling
from core.session.record import Recorder
from core.state import ClusterState, Request
from core.wish import Wish
from tests.e2e.until import LIMIT_S

ALONE = Recover(policy="off")
"""A failed run is left as it is."""


class Rehearsed:
    """The cluster, its bus and its devices."""

    def __init__(self, cluster: Cluster, rehearsal: Rehearsal) -> None:
        self.cluster = cluster
        self.bus = cluster.bus
        self.rehearsal = rehearsal

    async def until(
        self, so: Callable[[ClusterState], object], what: str, limit: float = LIMIT_S
    ) -> ClusterState:
        """The first state that is `so`; fails, naming `what`, when none comes."""
        try:
            async with asyncio.timeout(limit):
                return await self.bus.until(lambda state: bool(so(state)))
        except TimeoutError:
            state = self.bus.state
            told = [f"{alert.subject}: {alert.text}" for alert in state.alerts[-5:]]
            raise AssertionError(f"not within {limit:.0f} s: {what}; {state.plan_failure} {told}") from None

    async def up(self) -> None:
        """Wait for every device, and a plan over them."""
        await self.until(
            lambda state: (
                state.plan
                and [d.status for d in state.devices.values()].count("ready") == self.cluster.expected
            ),
            "every device ready, and a plan",
        )

    async def asked(self, prompt: str, tokens: int = 1) -> str:
        """Ask in a conversation of its own; the request, once so many tokens of its answer are there."""
        self.cluster.conversations.new()
        self.cluster.ask(prompt)
        request = self.bus.state.conversations[self.bus.state.conversation][-1]
        await self.until(
            lambda state: len(state.requests[request].ids) >= tokens or state.requests[request].done,
            f"{tokens} tokens",
        )
        return request

    async def answered(self, request: str) -> Request:
        """A request once it is done, with a word from every rank if it went well."""

        def so(state: ClusterState) -> bool:
            known, run = state.requests[request], state.run
            ended = run is None or not run.live
            return known.done is not None and (ended or len(known.ranks) == len(run.ranks))

        state = await self.until(so, "an answer")
        return state.requests[request]


@asynccontextmanager
async def rehearsed(
    model: Path,
    devices: int,
    folder: Path,
    *,
    split: tuple[int, ...] = (),
    everywhere: bool = False,
    budgets: Sequence[float] = BUDGETS,
    max_tokens: int = 24,
    recording: Path | None = None,
    recover: Recover = ALONE,
) -> AsyncIterator[Rehearsed]:
    """A cluster of `devices` with a plan for `model`, closed in time at the end."""
    bus = Bus()
    rehearsal = Rehearsal(devices, budgets)
    cluster = Cluster(
        bus,
        Config(folder / "config", folder / "cache", recover=recover),
        spec=read(model),
        wish=Wish(split=split, everywhere=everywhere),
        sampling=Sampling(max_tokens=max_tokens),
        rehearsal=rehearsal,
        recorder=Recorder(bus, recording) if recording else None,
    )
    try:
        await cluster.start()
        live = Rehearsed(cluster, rehearsal)
        await live.up()
        yield live
    finally:
        try:
            async with asyncio.timeout(LIMIT_S):
                await cluster.close()
        finally:
            await rehearsal.close()
