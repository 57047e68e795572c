"""The cluster as a graph: what stands on an edge between two devices, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Literal

from core.state import ClusterState, Device, Link, link_key
from tui.widgets.cells import Cell
from tui.widgets.devices import in_order, told
from tui.widgets.figures import duration, latency
from tui.widgets.filterbar import matches
from tui.widgets.links import OLD

SLOW = 4.0
"""So many times the median link is slow,"""
SLOW_US = 1000.0
"""unless it is faster than this anyway."""

Condition = Literal["good", "slow", "dead", "old", "unmeasured"]

MARKS: dict[Condition, Cell] = {
    "good": ("", ""),
    "slow": ("▲ slow", "$text-warning"),
    "dead": ("✖ dead", "$text-error"),
    "old": ("○ old", "$text-warning"),
    "unmeasured": ("○ not measured", "$muted"),
}
"""Said in words, and the line itself is broken: never by colour alone."""

KINDS = {"thunderbolt": "Thunderbolt", "ethernet": "Ethernet", "wifi": "Wi-Fi", "vpn": "VPN"}

SORTS = ("rank", "name", "memory", "link", "status")
"""What devices can be ordered by: their place in the plan, the fullest first, the worst link first."""
_BAD = ("refused", "lost", "untrusted", "connecting", "ready")


@dataclass(frozen=True, slots=True)
class Edge:
    """The path between two devices, the worse of both directions."""

    kind: str
    """`TB5`, `Ethernet`, `?` where nothing is known."""
    gbps: float | None
    p50_us: float | None
    p99_us: float | None
    condition: Condition
    why: str = ""

    @property
    def words(self) -> str:
        """Kind, speed and round trip, as far as they are known."""
        speed = f"{self.gbps:g} Gb/s" if self.gbps else ""
        trip = latency(self.p50_us) if self.p50_us is not None else ""
        return " ".join(word for word in (self.kind, speed, trip) if word)


def edge(state: ClusterState, a: str, b: str, usual: float | None = None) -> Edge:
    """What joins two devices. `usual` is the median round trip to call one slow by; see `usual_us`."""
    links = [li for key in (link_key(a, b), link_key(b, a)) if (li := state.links.get(key)) is not None]
    cable = next((cable for cable in state.cables if cable.between(a, b)), None)
    measured = [link.last for link in links if link.last is not None]
    names = [m.kind for m in measured if m.kind != "unknown"]
    kind = KINDS.get(names[0], names[0]) if names else "?"
    if cable is not None and (not names or names[0] == "thunderbolt"):
        kind = cable.thunderbolt
    gbps = cable.gbps if cable else None
    p50 = max((m.p50_us for m in measured), default=None)
    p99 = max((m.p99_us for m in measured), default=None)
    condition, why = _condition(state, links, p50, usual_us(state) if usual is None else usual)
    return Edge(kind, gbps, p50, p99, condition, why)


def usual_us(state: ClusterState) -> float:
    """The median of all links' round trips, 0 where none was measured."""
    found = [link.last.p50_us for link in state.links.values() if link.last is not None]
    return median(found) if found else 0.0


def _condition(
    state: ClusterState, links: list[Link], p50: float | None, usual: float
) -> tuple[Condition, str]:
    failure = next((link.failure for link in links if link.failure), "")
    if failure:
        return "dead", failure
    measured = [link.last for link in links if link.last is not None]
    if p50 is None or not measured:
        return "unmeasured", ""
    lost = max(1 - m.received / m.sent if m.sent else 0.0 for m in measured)
    if lost > 0:
        return "slow", f"{lost:.0%} lost"
    age = state.now - max(m.t for m in measured)
    if age > OLD and not state.open:  # probes rest while an answer is made
        return "old", f"{duration(age)} ago"
    if p50 > SLOW_US and p50 > SLOW * usual:
        return "slow", f"{p50 / usual:.0f}x the median" if usual else ""
    return "good", ""


def shown(state: ClusterState, needle: str = "", sort: str = "rank") -> list[Device]:
    """The devices that match, in order."""
    devices = [device for device in in_order(state) if matches(needle, told(device))]
    match sort:
        case "name":
            devices.sort(key=lambda d: (d.name, d.id))
        case "memory":
            devices.sort(key=_fullness, reverse=True)
        case "link":
            worst = worst_us(state)
            devices.sort(key=lambda d: worst.get(d.id, 0.0), reverse=True)
        case "status":
            devices.sort(key=lambda d: _BAD.index(d.status))
        case _:
            pass
    return devices


def _fullness(device: Device) -> float:
    sample = device.sample
    return sample.memory_used / sample.memory_limit if sample and sample.memory_limit else 0.0


def worst_us(state: ClusterState) -> dict[str, float]:
    """The slowest round trip of each device; a dead link is the slowest of all."""
    found: dict[str, float] = {}
    for link in state.links.values():
        trip = float("inf") if link.failure else link.last.p50_us if link.last else 0.0
        for end in (link.source, link.target):
            found[end] = max(found.get(end, 0.0), trip)
    return found
