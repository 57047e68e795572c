"""The measured links between devices."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from core.events import LinkMeasured
from core.state import ClusterState, Link
from core.text import pace
from tui.widgets.cells import Cell, line, table
from tui.widgets.figures import duration, latency
from tui.widgets.filterbar import matches
from tui.widgets.rows import StateRows

OLD = 15.0
"""Seconds after which a measurement's age is shown: three bursts missed."""
MOST = 64
"""Links in the table: those that fail, then the first ones. 64 devices have 4032, which nobody reads."""
CARRIES = "carries"
_HEAD = ("link", "kind", "address", "p50", "p99", "min", "loss", CARRIES, "")


def device_name(state: ClusterState, device: str) -> str:
    """The name of a device, its id while nothing else is known."""
    known = state.devices.get(device)
    return known.name if known else device


def link_rows(state: ClusterState, width: int, needle: str = "") -> list[Content]:
    """A heading and a row for each link, as far as they can be read."""
    links, told = _shown(state, needle)
    rows = [line(("Links", "bold $text-accent"), (f"  {told}", "$muted"), width=width)]
    if not state.links:
        ready = sum(device.status == "ready" for device in state.devices.values())
        why = "being measured" if ready > 1 else "measured once two devices are ready"
        return [*rows, line((f"  {why}", "$muted"), width=width)]
    known = any(link.lane.loaded for link in links)
    cells: list[list[Cell]] = [[(text if known or text != CARRIES else "", "$muted") for text in _HEAD]]
    cells += [_link(state, link) for link in links]
    return [*rows, *table(cells, width, flex=8, right=(3, 4, 5, 6, 7), drop=(2, 5, 7, 1, 6))]


def _shown(state: ClusterState, needle: str) -> tuple[list[Link], str]:
    """The links of the table, and what there is to say of them."""
    links = list(state.links.values())
    if needle:
        links = [link for link in links if matches(needle, _told(state, link))]
    if len(links) <= MOST:
        return links, "TCP round trip of 64 bytes"
    links.sort(key=lambda link: not link.failure)
    return links[:MOST], f"{MOST} of {len(links)} · / finds others"


def _told(state: ClusterState, link: Link) -> str:
    """What a filter looks for in a link."""
    return f"{device_name(state, link.source)} {device_name(state, link.target)} {link.failure}"


def _link(state: ClusterState, link: Link) -> list[Cell]:
    name = f"{device_name(state, link.source)} → {device_name(state, link.target)}"
    last = link.last
    if last is None:
        return [(name, "bold"), *[("", "")] * 7, (f"✖ {link.failure}", "$text-error")]
    age = state.now - last.t
    word: Cell = (f"{duration(age)} ago" if age > OLD else "", "$muted")
    if link.failure:
        word = (f"✖ {link.failure}", "$text-error")
    loss = 1 - last.received / last.sent if last.sent else 0.0
    return [
        (name, "bold"),
        (f"{last.kind} {_ends(last)}".rstrip(), ""),
        (last.address, "$muted"),
        (latency(last.p50_us), "bold"),
        (latency(last.p99_us), ""),
        (latency(last.min_us), "$muted"),
        (f"{loss:.0%}", "$text-error" if loss else "$muted"),
        (pace(rate) if (rate := link.lane.rate.last) else "", ""),
        word,
    ]


def _ends(last: LinkMeasured) -> str:
    """The interfaces at both ends: `en2–en3`."""
    return "–".join(dict.fromkeys(filter(None, (last.source_interface, last.target_interface))))


class Links(StateRows):
    """The links table."""

    needle: str = ""

    def rows(self, state: ClusterState, width: int) -> Sequence[Content]:
        """See `link_rows`."""
        return link_rows(state, width, self.needle)
