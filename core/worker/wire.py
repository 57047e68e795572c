# pyright: basic
"""The data plane: what the ranks of a pipeline say to each other, whatever carries it.

Frames go rank r → r + 1, and last → 0. Ranks above 0 only react to what comes from the left, in order, so
that they need no agreement protocol.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

import mlx.core as mx

MAGIC = 0x584F5431  # "XOT1"
WORDS = 8  # int32 words in a header: magic, op, flags, request, number, dtype, L, D

DTYPES = {0: mx.float32, 1: mx.bfloat16, 2: mx.float16}
CODES = {mx.float32: 0, mx.bfloat16: 1, mx.float16: 2}


class Op(enum.IntEnum):
    """What a frame means."""

    KEEP = 1  # number: tokens of the KV cache that stay; rank 0 has already decided
    STEP = 2  # tensor: hidden states [1, L, D]
    TOKEN = 3  # number: the token id sampled by the last rank; last → 0 only
    END = 4  # the request is over; goes round once, so that rank 0 knows nothing is in flight


class Flag(enum.IntFlag):
    """How a STEP is to be taken."""

    NONE = 0
    SAMPLE = 1  # the last rank answers with a TOKEN
    LIFTED = 2  # the sender computes in float32 only because it runs on a CPU


class Lost(Exception):
    """A neighbour is gone, or speaks nonsense; nothing can be repaired within this process."""

    def __init__(self, neighbour: int, side: str, reason: str) -> None:
        super().__init__(f"lost rank {neighbour} (on the {side}): {reason}")
        self.neighbour = neighbour


@dataclass(frozen=True)
class Frame:
    """One message; `tensor` [1, L, D] is float32, bfloat16 or float16."""

    op: Op
    request: int
    number: int = 0
    flags: Flag = Flag.NONE
    tensor: mx.array | None = None

    def header(self) -> list[int]:
        """The eight words that go ahead of the payload."""
        dtype = length = width = 0
        if self.tensor is not None:
            _, length, width = self.tensor.shape
            dtype = CODES[self.tensor.dtype]
        return [MAGIC, self.op, self.flags, self.request, self.number, dtype, length, width]


def shape_of(header: list[int]) -> tuple[tuple[int, int, int], mx.Dtype] | None:
    """Shape and dtype of the payload a header announces; None without one. Raises ValueError on nonsense."""
    magic, op, _, _, _, dtype, length, width = header
    if magic != MAGIC or dtype not in DTYPES or length < 0 or width < 0:
        raise ValueError(f"not a frame: {header}")
    return ((1, length, width), DTYPES[dtype]) if op == Op.STEP else None


def frame_of(header: list[int], tensor: mx.array | None) -> Frame:
    """The frame of a header and its payload. Raises ValueError on an unknown op."""
    _, op, flags, request, number, *_ = header
    return Frame(Op(op), request, number, Flag(flags), tensor)


class Wire(Protocol):
    """To the right neighbour, from the left one. Every method may raise Lost."""

    def send(self, frame: Frame) -> None:
        """Hand a frame to the right neighbour; may block while that one is busy."""
        ...

    def receive(self) -> Frame:
        """Block for the next frame from the left neighbour."""
        ...

    def close(self) -> None:
        """Let go of both neighbours."""
        ...
