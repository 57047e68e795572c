"""A recording on disk: NDJSON, zstd-compressed; the first line a header, every other line an event."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

import msgspec
import zstandard

from core.events import AnyEvent
from core.state import ClusterState
from core.text import MALFORMED, clean_line, scrub

FORMAT = "exo-tui-session"
VERSION = 1
LARGEST = 2**31
"""Bytes of a recording that are read: a few kilobytes can be made to unpack to any number."""

PIECE = 2**10
"""Compressed bytes that are unpacked at once: to 32 MiB at most, as 4 of them can be a block of 128 KiB."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording starts with: who wrote it, and the state its events are folded onto."""

    format: str = FORMAT
    version: int = VERSION
    started: float
    software: dict[str, str]
    state: ClusterState


class Recording(msgspec.Struct, frozen=True):
    """A recording in memory. `truncated` when the file ends in mid-write; what came before is here."""

    header: Header
    events: tuple[AnyEvent, ...]
    truncated: bool


class RecordingError(ValueError):
    """The file is no recording this version can read; the text is one line."""


class _Stamp(msgspec.Struct):
    format: str
    version: int


def read(path: Path) -> Recording:
    """Read a recording, up to the cut if it was cut short. Raises RecordingError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}") from None
    text, whole = _decompress(data)
    if not text:
        raise RecordingError(f"{path} is not an exo-tui recording")
    *lines, rest = text.split(b"\n")
    if not lines:
        raise RecordingError(f"{path} ends before its first line is complete")
    try:
        stamp = msgspec.json.decode(lines[0], type=_Stamp)
    except MALFORMED:
        raise RecordingError(f"{path} is not an exo-tui recording") from None
    if stamp.format != FORMAT or stamp.version != VERSION:
        raise RecordingError(
            f"{path} is a {clean_line(stamp.format)!r} of version {stamp.version}; "
            f"this exo-tui reads version {VERSION}"
        )
    try:
        header = _fit(msgspec.json.decode(lines[0], type=Header), lines[0])
        events = tuple(_fit(_events.decode(line), line) for line in lines[1:])
    except MALFORMED as error:
        raise RecordingError(f"{path} is damaged: {clean_line(str(error))}") from None
    return Recording(header, events, truncated=bool(rest) or not whole)


_events = msgspec.json.Decoder(AnyEvent)
_SUSPECT = re.compile(rb"\\[ubfr]|[\x7f-\xff]")
"""In a line without any of these there is nothing to clean."""
T = TypeVar("T")


def _fit(said: T, line: bytes) -> T:
    """What a line said, fit to be shown: recordings are passed on, and anybody can make one."""
    return scrub(said) if _SUSPECT.search(line) else said


def _decompress(data: bytes) -> tuple[bytes, bool]:
    """What can be had of the data, and whether it was all."""
    parts: list[bytes] = []
    size, at = 0, 0
    zstd = zstandard.ZstdDecompressor()
    frame = zstd.decompressobj()
    while at < len(data) and size < LARGEST:
        if frame.eof:
            frame = zstd.decompressobj()
        piece = data[at : at + PIECE]
        try:
            parts.append(frame.decompress(piece))
        except zstandard.ZstdError:
            return b"".join(parts), False
        size += len(parts[-1])
        at += len(piece) - len(frame.unused_data)
    return b"".join(parts)[:LARGEST], frame.eof and at == len(data)
