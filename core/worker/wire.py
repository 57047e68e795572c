# pyright: basic
"""The data plane: what the ranks of a pipeline say to each other, whatever carries it.

Frames go rank r → r + 1, and last → 0. Ranks above 0 only react to what comes from the left, in order, so
that they need no agreement protocol: what rank 0 decides travels with the data.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

import mlx.core as mx

MAGIC = 0x584F5433  # "XOT3"
WORDS = 10  # int32 words in a header: magic, op, flags, slot, number, request, chain, dtype, L, D

DTYPES = {0: mx.float32, 1: mx.bfloat16, 2: mx.float16, 3: mx.int32}
CODES = {dtype: code for code, dtype in DTYPES.items()}


class Op(enum.IntEnum):
    """What a frame means. A slot is a KV cache, the same one on every rank."""

    # `request` is answered in the slot, of whose cache `number` tokens stay; tensor: prompt ids [1, L, 1],
    # where the last rank needs them to sample
    BEGIN = 1
    # tensor: hidden states [1, L, D] of the slot's next tokens; `number` are in its cache already. If MERGED,
    # `slot` is a band, the tensor has one token of each row, and `number` is what all their caches hold
    STEP = 2
    TOKEN = 3  # answer to a STEP that samples, last → 0: see answer.py
    FED = 4  # answer to any other STEP, last → 0
    END = 5  # `request` is over; the slot's cache stays
    DROP = 6  # the slot's cache goes
    STOP = 7  # every rank ends
    BAND = 9  # `slot` is from now on a band of the slots in the tensor [1, B, 1]
    PORT = 8  # where rank `slot` listens for MLX's ring: `number`; before anything else, in tensor plans


class Flag(enum.IntFlag):
    """How a STEP is to be taken."""

    NONE = 0
    SAMPLE = 1  # the last rank answers with a TOKEN
    LIFTED = 2  # the sender computes in float32 only because it runs on a CPU
    MERGED = 4  # it is for a band, one token a row


class Lost(Exception):
    """A neighbour is gone, or speaks nonsense; nothing can be repaired within this process."""

    def __init__(self, neighbour: int, side: str, reason: str) -> None:
        super().__init__(f"lost rank {neighbour} (on the {side}): {reason}")
        self.neighbour = neighbour


@dataclass(frozen=True)
class Frame:
    """One message; `tensor` [1, L, D] has one of DTYPES. `chain`: see schedule.py; an answer repeats it."""

    op: Op
    slot: int = 0
    number: int = 0
    request: int = 0
    flags: Flag = Flag.NONE
    chain: int = 0
    tensor: mx.array | None = None

    def header(self) -> list[int]:
        """The words that go ahead of the payload."""
        dtype = length = width = 0
        if self.tensor is not None:
            _, length, width = self.tensor.shape
            dtype = CODES[self.tensor.dtype]
        named = [self.op, self.flags, self.slot, self.number, self.request, self.chain]
        return [MAGIC, *named, dtype, length, width]


def shape_of(header: list[int]) -> tuple[tuple[int, int, int], mx.Dtype] | None:
    """Shape and dtype of the payload a header announces; None without one. Raises ValueError on nonsense."""
    magic, _, _, _, _, _, _, dtype, length, width = header
    if magic != MAGIC or dtype not in DTYPES or length < 0 or width < 0:
        raise ValueError(f"not a frame: {header}")
    return ((1, length, width), DTYPES[dtype]) if length else None


def frame_of(header: list[int], tensor: mx.array | None) -> Frame:
    """The frame of a header and its payload. Raises ValueError on an unknown op."""
    _, op, flags, slot, number, request, chain, *_ = header
    return Frame(Op(op), slot, number, request, Flag(flags), chain, tensor)


class Wire(Protocol):
    """To the right neighbour, from the left one. Every method may raise Lost."""

    def send(self, frame: Frame) -> None:
        """Hand a frame to the right neighbour; may block while that one is busy."""
        ...

    def receive(self) -> Frame:
        """Block for the next frame from the left neighbour."""
        ...

    def arrived(self) -> bool:
        """Whether a frame is known to wait already; never True where that cannot be known."""
        ...

    def close(self) -> None:
        """Let go of both neighbours."""
        ...
