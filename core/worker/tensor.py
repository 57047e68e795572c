# pyright: basic
"""Groups of ranks that each hold a part of every layer of their stage, and take every step together.

One chain of sockets goes through all ranks, group by group. The first rank of a group leads it: it does what
the rank of a plain pipeline does, and hands each step to the others of its group before it takes it. The
layers themselves meet in MLX's ring, one a group. A STEP names in `request` the group it is for; what is for
the next one passes through the rest of this one.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from . import jaccl
from .bands import Band
from .caches import Caches
from .control import Channel
from .divide import refusal
from .follower import Follower
from .layers import Unsplittable
from .leader import Leader
from .ring import free_port
from .ring import meet as ring_meet
from .stage import Stage
from .tokens import Tokens
from .wire import Flag, Frame, Lost, Op, Wire


def shard(model: nn.Module, config: dict[str, Any], group: mx.distributed.Group) -> None:
    """Leave only this rank's part of each layer, still lazy. Raises Unsplittable."""
    family = str(config.get("model_type"))
    divide: Any = getattr(model, "shard", None)
    if divide is None:
        raise Unsplittable(f"{family}: mlx-lm cannot divide its layers among ranks")
    if reason := refusal(config, group.size()):
        raise Unsplittable(reason)
    try:
        divide(group)
    except (ValueError, AssertionError) as error:
        raise Unsplittable(f"{family} cannot be shared by {group.size()} ranks: {error}") from error


class Place:
    """Where a rank stands."""

    def __init__(self, sizes: list[int], rank: int) -> None:
        """`sizes` of the groups, in the order of the ranks."""
        self.rank, self.size = rank, sum(sizes)
        starts = list(itertools.accumulate(sizes, initial=0))
        self.group = next(at for at in range(len(sizes)) if rank < starts[at + 1])
        self.ranks = range(starts[self.group], starts[self.group + 1])
        self.first, self.last = self.group == 0, self.group == len(sizes) - 1

    @property
    def leads(self) -> bool:
        """Whether it is the first of its group."""
        return self.rank == self.ranks[0]


def join(
    wire: Wire, place: Place, rings: list[str], rdma: dict[str, Any] | None
) -> mx.distributed.Group | None:
    """The rank's group in MLX, for which all ranks tell each other a port over the wire. Raises Lost.

    `rings`: by rank, the address where the one before it in its group's ring finds it. `rdma`: see
    jaccl.meet; None for MLX's ring.
    """
    rank = place.rank
    ports = {rank: free_port(rings[rank])}
    told = rank
    for _ in range(len(rings) - 1):  # each passes on what it heard last, until all have been all around
        wire.send(Frame(Op.PORT, told, ports[told]))
        frame = wire.receive()
        if frame.op is not Op.PORT:
            raise Lost((rank - 1) % len(rings), "left", f"a {frame.op.name} frame in place of its port")
        told = frame.slot
        ports[told] = frame.number
    if len(place.ranks) == 1:
        return None
    ring = [(rings[one], ports[one]) for one in place.ranks]
    own = place.ranks.index(rank)
    return ring_meet(own, ring) if rdma is None else jaccl.meet(own, ring[0], **rdma)


class Chain:
    """A Wire that hands on what is for others, as the rules above say."""

    def __init__(self, wire: Wire, place: Place) -> None:
        self._wire, self._place = wire, place
        self._last = place.rank == place.size - 1

    def send(self, frame: Frame) -> None:
        """See Wire: what a rank of a plain pipeline says to the next."""
        if frame.op is Op.STEP:
            self._wire.send(replace(frame, request=self._place.group + 1))
        elif frame.op in (Op.TOKEN, Op.FED) or self._place.rank == 0:
            self._wire.send(frame)
        # Anything else was handed on when it came.

    def share(self, frame: Frame) -> None:
        """Hand a STEP to the others of the group."""
        if self._place.rank != self._place.ranks[-1]:
            self._wire.send(replace(frame, request=self._place.group))

    def receive(self) -> Frame:
        """See Wire: the next frame for this rank."""
        place = self._place
        while True:
            frame = self._wire.receive()
            if frame.op is Op.STEP and frame.request == place.group:
                self.share(frame)
                return frame
            if frame.op in (Op.STEP, Op.TOKEN, Op.FED):
                if place.rank == 0:
                    return frame
                self._wire.send(frame)
                continue
            if not self._last:
                self._wire.send(frame)
            return frame

    def arrived(self) -> bool:
        """See Wire."""
        return self._wire.arrived()

    def close(self) -> None:
        """See Wire."""
        self._wire.close()


class First(Leader):
    """Rank 0."""

    def __init__(
        self, channel: Channel, stage: Stage, chain: Chain, tokens: Tokens, start: dict[str, Any]
    ) -> None:
        # Without other groups it samples itself, as a rank alone.
        super().__init__(channel, stage, None if stage.last else chain, tokens, start)
        self._chain = chain

    def serve(self) -> None:
        """Raises Stopped, and Lost."""
        with _losses(1):
            super().serve()

    def _send(self, frame: Frame) -> None:
        self._chain.send(self._told(frame))

    def _forward(self, step: Frame, ids: mx.array, held: Caches | Band) -> mx.array:
        self._chain.share(replace(step, tensor=ids.astype(mx.int32).reshape(1, -1, 1)))
        return super()._forward(step, ids, held)


class Head(Follower):
    """The first rank of a later group."""

    def serve(self) -> None:
        """Raises Stopped, and Lost."""
        with _losses(self._left):
            super().serve()


class Member(Head):
    """Any other rank."""

    def _step(self, frame: Frame) -> None:
        stage = self._stage
        held, answering, tensor = self._expected(frame)
        if stage.first:  # ids, of one sequence or a row each
            given = tensor.reshape(1, -1) if isinstance(held, Caches) else tensor.reshape(-1, 1)
        else:
            given = stage.adopt(tensor, Flag.LIFTED in frame.flags)
        meters = [one.meter for one in answering]
        self._clock.begin(meters, decoding=Flag.SAMPLE in frame.flags)
        out = self._forward(given, held)
        # Just what the first of the group computes: who leaves out a layer leaves the others waiting in it.
        if Flag.SAMPLE in frame.flags or not stage.last:
            mx.eval(out)
        if Flag.SAMPLE not in frame.flags and isinstance(held, Caches):
            held.evaluate()
        self._clock.end(meters, "waiting")
        self._count()


@contextlib.contextmanager
def _losses(neighbour: int) -> Iterator[None]:
    """What MLX's group raises in the midst of a step."""
    try:
        yield
    except RuntimeError as error:
        if not any(mark in str(error) for mark in ("[ring]", "[jaccl]")):
            raise
        raise Lost(neighbour, "group", str(error)) from error
