"""One thing that is wrong, or not known."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "unknown", "info"]
LEVELS: tuple[Severity, ...] = ("error", "warning", "info", "unknown")


class Command(msgspec.Struct, frozen=True):
    """Something to type on a device. exo-tui never runs it."""

    device: str
    text: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`error`: it does not work. `warning`: it works worse, or may fail one day. `unknown`: not measured."""

    level: Severity
    devices: tuple[str, ...]
    where: str
    what: str
    why: str = ""
    todo: str = ""
    """What to do, in words."""
    commands: tuple[Command, ...] = ()
