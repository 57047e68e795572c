"""What the agent sends, typed. It comes from outside: shape and size are checked, nothing is trusted."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from core.text import MALFORMED, clean_line

LIMIT = 256 * 1024
"""Longest line read, in bytes."""

Word = Annotated[str, Meta(max_length=256)]
Text = Annotated[str, Meta(max_length=65536)]
Sources = Annotated[dict[Word, Text], Meta(max_length=16)]
Bytes = Annotated[int, Meta(ge=0, le=2**40)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class Facts(msgspec.Struct, frozen=True, tag_field="ev", tag="facts"):
    """Said once, before the first sample. `sources` holds raw command and file output by name."""

    system: Word
    node: Word
    release: Word
    machine: Word
    python: Word
    sources: Sources


class Sample(msgspec.Struct, frozen=True, tag_field="ev", tag="sample"):
    """Said once a second; a gap in `seq` never occurs, late samples are not taken at all."""

    system: Word
    seq: Annotated[int, Meta(ge=0, le=2**62)]
    sources: Sources


class Read(msgspec.Struct, frozen=True, tag_field="ev", tag="read"):
    """What a command printed or a file held, said when it differs from before.

    A program that is not there, one that failed and one that printed nothing are three different things:
    no `code` and a problem; a `code` other than 0, with its last complaint; a `code` of 0 and no text.
    """

    system: Word
    name: Word
    t: Annotated[float, Meta(ge=0, le=2**53)]
    """By the device's own clock, which only tells how long ago the one before was."""
    text: Text | None = None
    code: Annotated[int, Meta(ge=-1000, le=1000)] | None = None
    problem: Word = ""


class Listening(msgspec.Struct, frozen=True, tag_field="ev", tag="listening"):
    """Answer to a `listen` order: the port per address, and why where there is none."""

    ports: Annotated[dict[Word, Annotated[int, Meta(ge=1, le=65535)]], Meta(max_length=16)]
    failed: Annotated[dict[Word, Text], Meta(max_length=16)] = {}


class Probed(msgspec.Struct, frozen=True, tag_field="ev", tag="probed"):
    """Answer to a `probe` order: the round trips that came back in time, in order."""

    id: str | int
    rtts_us: Annotated[list[Annotated[float, Meta(ge=0, le=60e6)]], Meta(max_length=1000)]
    sent: Count
    lost: Count
    error: Text | None = None
    local: Word = ""
    """The address that the device's system talked from."""


class Sinking(msgspec.Struct, frozen=True, tag_field="ev", tag="sinking"):
    """First answer to a `sink` order: where it listens for the moments of a measurement."""

    id: str | int
    port: Annotated[int, Meta(ge=1, le=65535)]


class Sunk(msgspec.Struct, frozen=True, tag_field="ev", tag="sunk"):
    """Last answer to a `sink` order: what came, and bytes a second after its first moments."""

    id: str | int
    bytes: Bytes
    rate: Annotated[float, Meta(ge=0, le=1e15)] | None = None
    error: Text | None = None


class Loaded(msgspec.Struct, frozen=True, tag_field="ev", tag="loaded"):
    """Answer to a `load` order: what was sent."""

    id: str | int
    bytes: Bytes
    error: Text | None = None


class Refused(msgspec.Struct, frozen=True, tag_field="ev", tag="refused"):
    """An order the agent could not carry out."""

    reason: Text


Answer = Probed | Sinking | Sunk | Loaded
"""What answers an order by its id."""
Message = Facts | Sample | Read | Listening | Answer | Refused

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def read(line: bytes) -> Message:
    """One line of the agent. Raises ValueError, with one clean line, for anything else."""
    if len(line) > LIMIT:
        raise ValueError(f"the agent sent a line of {len(line)} bytes; {LIMIT} is the most read")
    try:
        return _decoder.decode(line)
    except MALFORMED as error:
        raise ValueError(f"the agent sent something unknown: {clean_line(str(error))}") from None
