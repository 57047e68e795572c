"""A link and the paths it has, and what events make of them. Pure."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from core import events as ev
from core.series import Series

LANES = 16
"""Paths of a link that are kept."""


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One of the paths of a link."""

    last: ev.LinkMeasured | None = None
    failure: str = ""
    p50: Series = Series()
    """Round trip in microseconds, median of a burst."""
    p99: Series = Series()
    loaded: ev.BandwidthMeasured | None = None
    rate: Series = Series()
    """Bytes a second, of the slower direction."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured from one device to another: of the path in use, and of each path there is."""

    source: str
    target: str
    lanes: dict[str, Lane] = {}
    """By address at the target."""
    in_use: str = ""
    """That of the path in use; empty while none was chosen, and the last one measured counts."""
    last: ev.LinkMeasured | None = None
    failure: str = ""
    p50: Series = Series()
    """Round trip in microseconds, median of a burst, over whichever path was in use."""
    p99: Series = Series()

    @property
    def lane(self) -> Lane:
        """The path in use."""
        return self.lanes.get(self.in_use or (self.last.address if self.last else ""), Lane())


def link_key(source: str, target: str) -> str:
    """Key of a link in `ClusterState.links`."""
    return f"{source}→{target}"


def after(links: dict[str, Link], event: ev.LinkEvent) -> dict[str, Link]:
    """The links after one more event."""
    key = link_key(event.source, event.target)
    link = links.get(key) or Link(source=event.source, target=event.target)
    lane = link.lanes.get(event.address, Lane())
    match event:
        case ev.LinkMeasured():
            lane = replace(lane, last=event, failure="", **_pushed(lane, event.t, event.p50_us, event.p99_us))
        case ev.LinkFailed():
            lane = replace(lane, failure=event.reason, **_pushed(lane, event.t, None, None))
        case ev.BandwidthMeasured():
            slower = min((way for way in (event.there, event.back) if way is not None), default=None)
            lane = replace(lane, loaded=event, rate=lane.rate.push(event.t, slower))
        case ev.PathChosen():
            now = _pushed(link, event.t, lane.p50.last, lane.p99.last)
            link = replace(link, in_use=event.address, last=lane.last, failure=lane.failure, **now)
    if event.address:
        link = replace(link, lanes=_latest({**link.lanes, event.address: lane}, link.in_use, event.address))
    used = link.in_use in ("", event.address) or event.address == ""
    if used and isinstance(event, ev.LinkMeasured):
        link = replace(link, last=event, failure="", **_pushed(link, event.t, event.p50_us, event.p99_us))
    elif used and isinstance(event, ev.LinkFailed):
        link = replace(link, failure=event.reason, **_pushed(link, event.t, None, None))
    return {**links, key: link}


def _latest(lanes: dict[str, Lane], *kept: str) -> dict[str, Lane]:
    """Without the oldest, as addresses come and go."""
    old = [address for address in lanes if address not in kept][: max(0, len(lanes) - LANES)]
    return {address: lane for address, lane in lanes.items() if address not in old}


def _pushed(to: Lane | Link, t: float, p50: float | None, p99: float | None) -> dict[str, Series]:
    return {"p50": to.p50.push(t, p50), "p99": to.p99.push(t, p99)}
