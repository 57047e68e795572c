"""What every fact has, and those that are about nothing in particular."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["info", "warning", "error"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """Something that happened at `t`."""

    t: float


class Tick(Event, frozen=True, kw_only=True):
    """A second has passed. Ages grow and gaps appear even when nothing else is heard."""


class Alert(Event, frozen=True, kw_only=True):
    """Something the user should know, named by who it is about."""

    level: Level
    subject: str
    text: str


class FaultInjected(Event, frozen=True, kw_only=True):
    """The rehearsal broke something on purpose."""

    kind: str
    target: str


class RecordingChanged(Event, frozen=True, kw_only=True):
    """Events go to a file from here, or no longer, where `path` is empty."""

    path: str
