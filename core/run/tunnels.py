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
            port = await machine.listen(partial(self._carry, machines[after], ports[after]))
            if self._over:
                port.close()
                raise OSError("it was stopped")
            self._ports.append(port)
            peers = [(LOOPBACK, one) for one in ports]
            peers[after] = (LOOPBACK, port.number)
            told.append(peers)
        return told

    async def _carry(self, machine: Machine, port: int, near: Stream) -> None:
        """One connection, until either end closes it."""
        try:
            far = await machine.call(port)
        except OSError:
            near.close()
            return
        for ends in ((near, far), (far, near)):
            task = asyncio.create_task(_pump(*ends))
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


async def _pump(source: Stream, sink: Stream) -> None:
    try:
        with contextlib.suppress(OSError):  # the other end is gone: its rank says so
            while data := await source.read(PIECE):
                await sink.write(data)
    finally:
        source.close()
        sink.close()
