"""Which of the paths between two devices is in use, and who is told when it becomes a worse one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median

from core import events as ev
from core.bus import Bus
from core.plan.chips import MEDIA
from core.probe.cables import worse
from core.state import ClusterState, Lane, Link, link_key
from core.ways import lost
from core.wiring import LinkKind

SAMPLE = 2**16
"""Bytes whose hand-over paths are compared by: more than a token's hidden states, less than a prompt's."""
BETTER = 0.8
"""A path that works is left only for one that takes at most this share of its time,"""
WORTH_S = 50e-6
"""and saves so much: figures of a few microseconds are never twice the same."""
RECENT = 5
"""Bursts whose median counts."""

KINDS: dict[LinkKind, str] = {
    "loopback": "loopback",
    "thunderbolt": "Thunderbolt",
    "ethernet": "Ethernet",
    "wifi": "Wi-Fi",
    "vpn": "a VPN",
    "unknown": "an unknown path",
}


def rate(lane: Lane) -> float | None:
    """Bytes a second as measured, of the slower direction."""
    return lane.rate.last


def hand_over_s(lane: Lane) -> float | None:
    """Seconds a path takes for SAMPLE bytes, as measured, its rate by its kind where nobody has; None while
    no burst was answered."""
    trips = [trip for trip in lane.p50.values[-RECENT:] if trip is not None]
    if lane.last is None or not trips:
        return None
    return median(trips) / 2e6 + SAMPLE / (rate(lane) or MEDIA[lane.last.kind].bw)


def broken(state: ClusterState, link: Link, lane: Lane) -> str:
    """Why a path cannot be used, by its last burst and by what its ends say since; empty where it can."""
    if lane.failure or lane.last is None:
        return lane.failure or "it was never measured"
    for device, address, interface in (
        (link.source, lane.last.local, lane.last.source_interface),
        (link.target, lane.last.address, lane.last.target_interface),
    ):
        known = state.devices.get(device)
        if known is not None and (why := lost(known.wiring, address, interface)):
            return f"{why} on {device}"
    return ""


def best(state: ClusterState, link: Link) -> str:
    """The address of the path to use: the one in use unless it is broken or another is clearly better; empty
    where none works."""
    works = {
        address: cost
        for address, lane in link.lanes.items()
        if not broken(state, link, lane) and (cost := hand_over_s(lane)) is not None
    }
    if not works:
        return ""
    first = min(works, key=lambda address: works[address])
    now = works.get(link.in_use)
    if now is not None and (works[first] > now * BETTER or now - works[first] < WORTH_S):
        return link.in_use
    return first


class Routes:
    """Listens to the bus and chooses. Call `consider` for every event."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._before: dict[tuple[str, str], ev.LinkMeasured] = {}
        """The last burst over the path in use of each pair, of those whose kind was known."""
        self._fallen: set[tuple[str, str]] = set()
        """Pairs that were said to have got worse."""

    def consider(self, event: ev.AnyEvent) -> None:
        """Choose again where something was measured, or an end has changed."""
        match event:
            case ev.LinkMeasured() | ev.LinkFailed() | ev.BandwidthMeasured():
                self._choose(event.source, event.target)
            case ev.DeviceWired():
                for link in self._bus.state.links.values():
                    if event.device in (link.source, link.target):
                        self._choose(link.source, link.target)
            case _:
                pass

    def _choose(self, source: str, target: str) -> None:
        state = self._bus.state
        link = state.links.get(link_key(source, target))
        if link is None:
            return
        chosen = best(state, link)
        if chosen and chosen != link.in_use:
            why = broken(state, link, link.lane) if link.in_use else ""
            self._bus.publish(
                ev.PathChosen(t=time.time(), source=source, target=target, address=chosen, why=why)
            )
            self._compare(link.lanes[chosen].last, why)
        else:
            self._compare(link.last if not link.failure else None)

    def _compare(self, now: ev.LinkMeasured | None, why: str = "") -> None:
        """Say it where a pair talks over something worse than before, or over what it had before."""
        if now is None or (now.kind == "unknown" and not why):
            return
        pair = (now.source, now.target)
        before, self._before[pair] = self._before.get(pair), now
        if before is None:
            return
        if (why and now.address != before.address) or worse(now.kind, before.kind):
            self._fallen.add(pair)
            text = f"goes by {told(now)} now, it went by {told(before)}"
            self._say("error", pair, f"{text}: {why}" if why else text)
        elif pair in self._fallen and told(now) != told(before):
            self._fallen.discard(pair)
            self._say("info", pair, f"goes by {told(now)} again")

    def _say(self, level: ev.Level, pair: tuple[str, str], text: str) -> None:
        self._bus.publish(ev.Alert(t=time.time(), level=level, subject=" → ".join(pair), text=text))


def told(measured: ev.LinkMeasured) -> str:
    """A path as a person is told it: `Thunderbolt (en2–en3)`."""
    names = filter(None, (measured.source_interface, measured.target_interface))
    ends = "–".join(dict.fromkeys(names))
    return f"{KINDS[measured.kind]} ({ends})" if ends else KINDS[measured.kind]


def lanes(link: Link) -> Mapping[str, Lane]:
    """The paths of a link, the one in use first."""
    return dict(sorted(link.lanes.items(), key=lambda item: item[0] != link.in_use))
