"""What ranks send each other, carried through this console's SSH connections instead of over the network."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial

from core.plan.backend import RDMA
from core.plan.plan import Plan
from core.remote.machine import LOOPBACK, Machine, Port, Stream

PIECE = 1 << 18
"""Bytes carried at a time."""
AGAIN_S = 0.05
"""Between two calls on a rank that does not listen yet."""

Peers = list[tuple[str, int]]


def why_not(plan: Plan) -> str:
    """Why a plan cannot be carried so; nothing where it can."""
    if plan.backend in RDMA:
        return "RDMA does not go through SSH: ask for the backend sockets or ring"
    if max(plan.groups) > 1:
        return "devices that share layers meet in MLX's own ring, which is not carried through SSH"
    return ""


class Tunnels:
    """One from each rank to the next: a port of its own machine's loopback that leads to the other's."""

    def __init__(self) -> None:
        self._ports: list[Port] = []
        self._carrying: set[asyncio.Task[None]] = set()
        self._over = False

    async def open(self, machines: Sequence[Machine], ports: Sequence[int]) -> list[Peers]:
        """Where each rank finds the others: the next one by its tunnel. Raises OSError, also when closed."""
        told: list[Peers] = []
        for rank, machine in enumerate(machines):
            after = (rank + 1) % len(machines)
            port = await machine.listen(partial(self._take, machines[after], ports[after]))
            if self._over:
                port.close()
                raise OSError("it was stopped")
            self._ports.append(port)
            peers = [(LOOPBACK, one) for one in ports]
            peers[after] = (LOOPBACK, port.number)
            told.append(peers)
        return told

    async def _take(self, machine: Machine, port: int, near: Stream) -> None:
        task = asyncio.create_task(_carry(machine, port, near))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def close(self) -> None:
        """Nothing is carried any more."""
        self._over = True
        for port in self._ports:
            port.close()
        self._ports.clear()
        for task in list(self._carrying):
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)


async def _carry(machine: Machine, port: int, near: Stream) -> None:
    """One connection, until either end closes it."""
    try:
        far = await _reach(machine, port)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(near, far))
            both.create_task(_pump(far, near))
    finally:
        near.close()


async def _reach(machine: Machine, port: int) -> Stream:
    """The rank that listens there, as soon as it does. One of MLX's ring binds its port only when told to
    connect, and its neighbour, whom the tunnel answered at once, would take a refusal for a lost peer."""
    while True:
        try:
            return await machine.call(port)
        except OSError:
            await asyncio.sleep(AGAIN_S)


async def _pump(source: Stream, sink: Stream) -> None:
    try:
        with contextlib.suppress(OSError):  # the other end is gone: its rank says so
            while data := await source.read(PIECE):
                await sink.write(data)
    finally:
        source.close()
        sink.close()
