# pyright: basic
"""What carries the data between ranks, measured with nothing of a model on it: laps around all ranks and, in
a group of MLX's, sums over all of them. Every rank does the same in the same order."""

from __future__ import annotations

import time
from collections.abc import Callable

import mlx.core as mx

from .control import Channel
from .wire import Frame, Op, Wire

PARTS = ((4 << 10, 50), (1 << 20, 10))
"""Bytes and how often: about a token's hidden states, and those of a piece of a prompt."""
WARM = 3  # that are not counted


def serve(channel: Channel, wire: Wire, rank: int) -> None:
    """Measure, then wait to be stopped. Raises Stopped, and Lost."""
    group = getattr(wire, "group", None)
    channel.phase("warmup", 0, 1)
    for size, count in PARTS:
        given = mx.ones((1, 1, size // 4), mx.float32)
        mx.eval(given)
        kinds: dict[str, Callable[[], None]] = {"lap": lambda given=given: _lap(wire, rank, given)}
        if group is not None:
            kinds["sum"] = lambda given=given: mx.eval(mx.distributed.all_sum(given, group=group))
        for kind, once in kinds.items():
            trips = [_timed(once) for _ in range(WARM + count)][WARM:]
            if rank == 0:
                channel.emit("lapped", kind=kind, bytes=size, trips_us=trips)
    channel.phase("ready", 1, 1)
    channel.now("idle")
    channel.take("stop")


def _timed(once: Callable[[], None]) -> float:
    began = time.perf_counter()
    once()
    return round((time.perf_counter() - began) * 1e6, 1)


def _lap(wire: Wire, rank: int, given: mx.array) -> None:
    """Rank 0 hands it on and has it back from the last; all others pass on what comes."""
    if rank == 0:
        wire.send(Frame(Op.STEP, tensor=given))
        wire.receive()
    else:
        wire.send(wire.receive())
