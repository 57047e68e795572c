"""What is between devices, as it was measured."""

from __future__ import annotations

from typing import Literal

from core.events.base import Event
from core.plan.plan import Backend
from core.wiring import Cable, LinkKind


class CablesSeen(Event, frozen=True, kw_only=True):
    """Every Thunderbolt cable there is, said when that has changed."""

    cables: tuple[Cable, ...]


class LinkMeasured(Event, frozen=True, kw_only=True):
    """One burst of TCP round trips of 64 bytes from `source` to `target`."""

    source: str
    target: str
    kind: LinkKind
    address: str
    """Where on the target the burst went."""
    local: str = ""
    """Where on the source it came from."""
    source_interface: str = ""
    target_interface: str = ""
    """Those that the burst used, where the devices' lists of interfaces tell."""
    sent: int
    received: int
    min_us: float
    p50_us: float
    p99_us: float


class LinkFailed(Event, frozen=True, kw_only=True):
    """A burst brought no answer."""

    source: str
    target: str
    reason: str
    address: str = ""


class PathChosen(Event, frozen=True, kw_only=True):
    """Of the paths between two devices this is the one that plans reckon with and the next run uses."""

    source: str
    target: str
    address: str
    """Where the path ends on the target."""
    why: str = ""


class BandwidthMeasured(Event, frozen=True, kw_only=True):
    """What one TCP stream carries over a path, counted where it arrives, without its first moments."""

    source: str
    target: str
    address: str
    there: float | None = None
    """Bytes a second from source to target."""
    back: float | None = None
    sent: int = 0
    """Bytes that it took, both ways."""
    problem: str = ""
    """Why a figure is not there."""


class HandoverMeasured(Event, frozen=True, kw_only=True):
    """What handing over takes between the ranks of a plan, without a model: from one to the next around all
    of them (`lap`), or a sum over all (`sum`)."""

    backend: Backend
    devices: tuple[str, ...]
    kind: Literal["lap", "sum"]
    bytes: int
    count: int
    p50_us: float
    """Of one hand-over, or of one sum."""
    worst_us: float


LinkEvent = LinkMeasured | LinkFailed | PathChosen | BandwidthMeasured
