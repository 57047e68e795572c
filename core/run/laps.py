"""How fast a plan's ranks hand over to each other: its devices and its backend, without the model."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from core import events as ev
from core.options import Options
from core.plan.backend import RDMA
from core.plan.plan import Plan, PlanError, Wire
from core.remote.machine import Machine
from core.run.launch import STOP_S
from core.run.orders import orders
from core.run.rank import Rank
from core.run.tunnels import Tunnels
from core.run.tunnels import why_not as not_tunnelled

LIMIT_S = 60.0
LOOK_S = 0.05


def why_not(plan: Plan, options: Options) -> str:
    """Why the ranks of a plan cannot be measured together; nothing where they can."""
    if len(plan.posts) < 2:
        return "the plan has one rank, which hands over to nobody"
    if plan.backend in RDMA and len(plan.stages) > 1 and max(plan.groups) > 1:
        return "its groups have RDMA each for itself; ranks of all of them never meet in one"
    return not_tunnelled(plan) if options.tunnel else ""


async def measure(
    plan: Plan, machines: Mapping[str, Machine], wires: Sequence[Wire], options: Options
) -> list[ev.HandoverMeasured]:
    """Start a worker on each post, measure, and end them all. Raises OSError, with the reason."""
    tunnels = Tunnels()
    hosts = [machines[post.device] for post in plan.posts]
    size = len(hosts)
    try:
        told = orders(plan, hosts, [""] * size, wires, tunnel=options.tunnel)
    except PlanError as error:
        raise OSError(str(error)) from None
    ranks = [
        Rank("", number, post.device, host, _unheard)
        for number, (post, host) in enumerate(zip(plan.posts, hosts, strict=True))
    ]
    try:
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(
                *(
                    rank.start({**order, "mode": "laps"}, options)
                    for rank, order in zip(ranks, told, strict=True)
                )
            )
            await _reach(ranks, lambda rank: rank.listening is not None)
            peers = [(rank.listening.address, rank.listening.port) for rank in ranks if rank.listening]
            token = secrets.token_hex(32)
            told_of = (
                await tunnels.open(hosts, [port for _, port in peers]) if options.tunnel else [peers] * size
            )
            for rank, known in zip(ranks, told_of, strict=True):
                rank.send(op="connect", peers=known, token=token)
            await _reach(ranks, lambda rank: rank.phase == "ready")
    except TimeoutError:
        raise OSError(f"the ranks were not through after {LIMIT_S:.0f} s") from None
    finally:
        await asyncio.gather(*(rank.stop(STOP_S) for rank in ranks))
        await tunnels.close()
    return [
        ev.HandoverMeasured(
            t=time.time(),
            backend=plan.backend,
            devices=tuple(post.device for post in plan.posts),
            kind=said.kind,
            bytes=said.bytes,
            count=len(said.trips_us),
            p50_us=median(said.trips_us) / (size if said.kind == "lap" else 1),
            worst_us=max(said.trips_us) / (size if said.kind == "lap" else 1),
        )
        for said in ranks[0].lapped
    ]


async def _reach(ranks: Sequence[Rank], reached: Callable[[Rank], bool]) -> None:
    """Wait until every rank has. Raises OSError when one fails first."""
    while not all(map(reached, ranks)):
        for rank in ranks:
            if rank.error or rank.exit is not None:
                raise OSError(f"rank {rank.rank} on {rank.device}: {rank.error or rank.reason or 'it ended'}")
        await asyncio.sleep(LOOK_S)


def _unheard(event: ev.AnyEvent) -> None:
    """It is no run: what its workers say is of no interest but for what `lapped` keeps."""
