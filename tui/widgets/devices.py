"""The devices of the cluster, and the peers that could join it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from textual.content import Content

from core import events as ev
from core.joining import NOT_A_WAY_IN
from core.namesakes import doubt, is_device
from core.state import ClusterState, Device
from core.text import size
from tui.widgets.cells import Cell, line, mark, pointer, table
from tui.widgets.figures import bar, duration, gib
from tui.widgets.filterbar import matches
from tui.widgets.rows import StateRows

STALE = 3.0
"""Seconds after which a sample's age is shown."""
QUIET = 60.0
"""Seconds after which it is said when a peer was last heard. Each is asked every half minute."""
KNOWN = 8
"""Hosts of the user's files that are listed without being looked for."""
SUSPECT = 5.0
"""Seconds after which a silent device is called suspect."""

_CHIP = 14
"""Cells that are left to a chip's name: `Apple M3 Ultra`."""

BUSY = 1e5
"""Bytes a second from which traffic is worth a word."""

STATUS: dict[ev.DeviceStatus, Cell] = {
    "connecting": ("○ connecting", "$text-primary"),
    "untrusted": ("◆ untrusted", "$text-warning"),
    "ready": ("● ready", "$text-success"),
    "refused": ("✖ refused", "$text-error"),
    "lost": ("▲ lost", "$text-error"),
}


def in_order(state: ClusterState) -> list[Device]:
    """Devices as the plan has them, rank by rank, then the others by name."""
    run = state.run if state.run and state.run.live else None
    plan = run.plan if run else state.plan
    ranks = {post.device: rank for rank, post in enumerate(plan.posts)} if plan else {}
    last = len(ranks)
    return sorted(state.devices.values(), key=lambda d: (ranks.get(d.id, last), d.name, d.id))


def new_peers(state: ClusterState, needle: str = "") -> list[ev.PeerSeen]:
    """Peers that are not devices already: those the network speaks of, then hosts the user's files name.

    Of the latter, which may be many, only the first without a `needle`.
    """
    new = [
        peer
        for peer in state.peers.values()
        if matches(needle, f"{peer.name} {peer.host}")
        and not any(is_device(peer, device) for device in state.devices.values())
    ]
    here = [peer for peer in new if peer.announced]
    known = [peer for peer in new if not peer.announced]
    return [
        *sorted(here, key=lambda p: (NOT_A_WAY_IN in p.services, p.name, p.key)),
        *(known if needle else known[:KNOWN]),
    ]


def choices(state: ClusterState, needle: str = "") -> list[str]:
    """What the selection moves over: device ids, then keys of new peers."""
    devices = (device.id for device in in_order(state) if matches(needle, told(device)))
    return [*devices, *(peer.key for peer in new_peers(state, needle))]


def told(device: Device) -> str:
    """What a filter looks for in a device."""
    facts = device.facts
    system = f"{facts.chip} {facts.system} {facts.machine}" if facts else ""
    return f"{device.name} {device.address} {device.status} {device.detail} {system}"


Keyed = tuple[str | None, Content]
"""A row, and the device or peer that it is about."""


def device_rows(state: ClusterState, width: int, chosen: str | None = None, needle: str = "") -> list[Keyed]:
    """A row for each device, a second one where something needs to be said, and the peers below."""
    devices = in_order(state)
    ready = sum(d.status == "ready" for d in devices)
    count = f"  {ready} of {len(devices)} ready"
    devices = [device for device in devices if matches(needle, told(device))]
    if needle:
        count += f", {len(devices)} shown"
    rows: list[Keyed] = [(None, line(("Devices", "bold $text-accent"), (count, "$muted"), width=width))]
    for text, tone in _lonely(state):
        rows += [(None, Content("  ") + row) for row in Content.styled(text, tone).wrap(max(1, width - 2))]
    cells = [_device(d, state.now, d.id == chosen) for d in devices]
    for device, row in zip(
        devices, table(cells, width, flex=3, least=_CHIP, right=(6, 9), drop=(4, 8, 7, 5, 3)), strict=True
    ):
        rows.append((device.id, mark(row, width) if device.id == chosen else row))
        if note := _note(state, device):
            lines = Content.styled(note, "$text-warning").wrap(max(1, width - 4))
            rows += [(device.id, Content("    ") + part) for part in lines]
    return [*rows, *_peer_rows(state, width, chosen, needle)]


def _peer_rows(state: ClusterState, width: int, chosen: str | None, needle: str) -> list[Keyed]:
    peers = new_peers(state, needle)
    rows: list[Keyed] = []
    if peers:
        here = sum(peer.announced for peer in peers)
        known = sum(not peer.announced for peer in state.peers.values())
        counts = [f"{here} announced"] * bool(here) + [f"{known} in your files"] * (known > 0)
        title = ("Also here: " if here else "Known: ") + ", ".join(counts)
        hint = "  enter adds the chosen one" + (", / finds others" if known > KNOWN and not needle else "")
        rows.append((None, line((title, "bold"), (hint, "$muted"), width=width)))
    cells = [_peer(state, peer, peer.key == chosen) for peer in peers]
    for peer, row in zip(peers, table(cells, width, flex=3, drop=(4, 3)), strict=True):
        rows.append((peer.key, mark(row, width) if peer.key == chosen else row))
        if unsure := doubt(state, peer):
            rows.append((peer.key, line((f"    ▲ {unsure}", "$text-warning"), width=width)))
    if not any(peer.announced for peer in peers):
        rows += [(None, row) for row in silence_rows(state, width)]
    return rows


def silence_rows(state: ClusterState, width: int) -> list[Content]:
    """Why the network shows nobody, when it does not."""
    rows: list[Content] = []
    for cause in state.silence or ():
        rows.append(line((f"  ▲ {cause.what}", "$text-warning"), width=width))
        for text in filter(None, (cause.why, cause.todo)):
            rows += [
                line((f"    {part}", "$muted"), width=width)
                for part in textwrap.wrap(text, max(1, width - 6))
            ]
        if cause.command:
            rows.append(line(("    $ ", "$text-accent"), (cause.command, "bold"), width=width))
    return rows


def _lonely(state: ClusterState) -> list[Cell]:
    """Why there are no others, and what to do about it; nothing where there are some."""
    if len(state.devices) > 1 or new_peers(state) or state.silence:
        return []
    said = [alert.text for alert in state.alerts if alert.subject == "discovery"][-1:]
    todo = "name devices in config.toml, as the README shows; peers appear here by themselves"
    count = "only one" if state.devices else "none yet"
    return [(f"{count} — {todo}", "$muted"), *((f"▲ {text}", "$text-warning") for text in said)]


def _device(device: Device, now: float, chosen: bool) -> list[Cell]:
    facts, sample = device.facts, device.sample
    chip = facts.chip if facts else device.address
    cores = f"{facts.cores} cores" if facts else ""
    cells = [
        pointer(chosen),
        STATUS[device.status],
        (device.name, "bold"),
        (chip, ""),
        (cores, "$muted"),
    ]
    if sample is None:
        return [*cells, *[("", "")] * 5]
    share = sample.memory_used / sample.memory_limit if sample.memory_limit else 0.0
    tone = "$text-success" if share < 0.75 else "$text-warning" if share < 0.92 else "$text-error"
    load = f"load {sample.load:.2f}" if sample.load is not None else ""
    age = now - sample.t
    word = f"{age:.0f} s ago" if age > STALE else ""
    if device.status == "ready" and age > SUSPECT:
        word = f"suspect, {duration(age)}"
    return [
        *cells,
        (bar(share, 8), tone),
        (f"{gib(sample.memory_used)}/{gib(sample.memory_limit)} GiB", ""),
        (load, "$muted"),
        (gauges(sample), "$muted"),
        (word, "$text-warning" if word.startswith("suspect") else "$muted"),
    ]


def gauges(sample: ev.DeviceSample) -> str:
    """What is known of GPU, heat, power and traffic; what is not is left out."""
    received, sent = (
        (sum(way) for way in zip(*sample.traffic.values(), strict=True)) if sample.traffic else (0, 0)
    )
    told = [
        f"GPU {sample.gpu:.0%}" if sample.gpu is not None else "",
        f"{sample.temperature:.0f} °C" if sample.temperature is not None else "",
        f"{sample.power:.0f} W" if sample.power is not None else "",
        f"IP ↓{received / 1e6:.1f} ↑{sent / 1e6:.1f} MB/s" if received + sent >= BUSY else "",
        f"pressure {sample.pressure}" if sample.pressure not in (None, "normal") else "",
    ]
    return " · ".join(filter(None, told))


def _note(state: ClusterState, device: Device) -> str:
    if device.id in state.questions:
        return "its host key is new: press enter to compare and answer"
    made = device.provisioned
    if made is not None and made.how in ("running", "failed"):
        return f"installing mlx: {made.told}" if made.how == "running" else f"mlx not installed: {made.told}"
    if device.detail or device.status != "ready":
        return device.detail
    failed = device.checked.failed if device.checked else None
    return f"{failed.name}: {failed.told}; {failed.remedy}" if failed else ""


def _peer(state: ClusterState, peer: ev.PeerSeen, chosen: bool) -> list[Cell]:
    kind: Cell = ("+ peer", "$text-primary") if peer.announced else ("+ known", "$muted")
    if NOT_A_WAY_IN in peer.services:
        kind = ("· listed", "$muted")
    return [
        pointer(chosen),
        kind,
        (peer.name, "bold"),
        (claims(peer), ""),
        (f"{peer.host}:{peer.port}", "$muted"),
        (provenance(state, peer), "$muted"),
    ]


def claims(peer: ev.PeerSeen) -> str:
    """What a machine says of itself when it announces itself; nobody has checked it."""
    memory = peer.txt.get("memory", "")
    known = size(int(memory[:15])) if memory.isascii() and memory.isdecimal() else ""
    return " · ".join(filter(None, (peer.txt.get("chip", ""), known)))


def provenance(state: ClusterState, peer: ev.PeerSeen) -> str:
    """How it is known, and when it was last heard."""
    ways = " + ".join(peer.ways)
    if not peer.announced:
        return ways
    heard = state.heard.get(peer.key)
    age = state.now - (peer.t if heard is None else heard)
    return f"{ways}, {duration(age)} ago" if age > QUIET else ways


class Devices(StateRows):
    """The devices and new peers, of which one may be the chosen one."""

    chosen: str | None = None
    needle: str = ""

    def rows(self, state: ClusterState, width: int) -> Sequence[Content]:
        """See `device_rows`."""
        made = device_rows(state, width, self.chosen, self.needle)
        self.keys = [key for key, _ in made]
        return [row for _, row in made]
