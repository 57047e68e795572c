# pyright: basic
"""What every rank has been told so far, in one number: whoever has another one is out of step."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import mlx.core as mx

from .wire import Flag, Frame, Op

WORDS = struct.Struct("<5i")
TOLD = Flag.SAMPLE | Flag.MERGED


class Schedule:
    """A hash over the frames from the first rank, each on top of those before."""

    def __init__(self) -> None:
        self._hash = 0

    def follow(self, frame: Frame) -> int:
        """The hash with this frame, which is to be in the frame itself."""
        # In a STEP `request` says which group of ranks it is for.
        request = 0 if frame.op is Op.STEP else frame.request
        words = WORDS.pack(frame.op, frame.flags & TOLD, frame.slot, frame.number, request)
        self._hash = zlib.crc32(words, self._hash)
        if frame.op is Op.BAND:
            self._hash = zlib.crc32(repr(slots_of(frame)).encode(), self._hash)
        return self._hash >> 1  # as an int32


def band_frame(index: int, slots: list[int]) -> Frame:
    """Says who is in a band."""
    return Frame(Op.BAND, index, tensor=mx.array(slots, mx.int32).reshape(1, -1, 1))


def slots_of(frame: Frame) -> list[int]:
    """Who is in the band a BAND frame tells of."""
    slots: Any = [] if frame.tensor is None else frame.tensor.reshape(-1).tolist()
    return slots
