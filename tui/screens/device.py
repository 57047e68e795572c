"""All that is known of one device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from core.checks import checks
from core.events import Check
from core.namesakes import peer_of
from core.routes import broken, lanes, told
from core.state import ClusterState, Device, Lane, Link
from core.text import pace
from tui import keymap
from tui.desk import Desk
from tui.netmap import MARKS, edge, shown, usual_us
from tui.screens.closing import Closing
from tui.widgets.cells import Cell, line, table
from tui.widgets.chart import Chart
from tui.widgets.devices import STATUS, gauges
from tui.widgets.figures import duration, gib, latency
from tui.widgets.keybar import KeyBar
from tui.widgets.plots import device_memory
from tui.widgets.rows import Rows
from tui.widgets.scroller import Scroller

EVERY = 1.0
_LABEL = 12


def device_facts(state: ClusterState, device: Device) -> Iterator[tuple[str, Cell]]:
    """A label and what there is to say, of everything that is known."""
    glyph, tone = STATUS[device.status]
    yield "status", (f"{glyph}{' · ' + device.detail if device.detail else ''}", tone)
    yield "address", (device.address, "")
    peer = peer_of(state, device)
    if peer is not None:
        heard = state.heard.get(peer.key, peer.t)
        age = f", heard {duration(max(0.0, state.now - heard))} ago" if peer.announced else ""
        yield "known from", (" + ".join(peer.ways) + age, "")
        if peer.login:
            yield "login", (peer.login, "")
    if device.exo:
        yield "exo", (f"▲ runs here too, node {device.exo}: both want the memory", "$text-warning")
    facts, sample = device.facts, device.sample
    if facts:
        yield "chip", (f"{facts.chip}, {facts.cores} cores, {facts.machine}", "")
        yield "system", (f"{facts.system} {facts.release}", "")
        yield "python", (facts.python, "")
    if sample:
        limit = "budget" if facts and facts.budget else "limit"
        used = f"{gib(sample.memory_used)} of {gib(sample.memory_limit)} GiB {limit}"
        yield "memory", (f"{used}, {gib(sample.memory_total)} GiB in all", "")
        if sample.swap_used:
            yield "swap", (f"▲ {gib(sample.swap_used)} GiB in use", "$text-warning")
        if sample.load is not None:
            yield "load", (f"{sample.load:.2f}", "")
        if now := gauges(sample):
            yield "now", (now, "")
        age = state.now - sample.t
        if age > 3:
            yield "heard of", (f"▲ {duration(age)} ago", "$text-warning")
    yield from _part(state, device)
    for what, why in device.gaps.items():
        yield "not known", (f"{what}: {why}", "$muted")


def _part(state: ClusterState, device: Device) -> Iterator[tuple[str, Cell]]:
    """What it does in the run, or would in the plan."""
    run = state.run if state.run and state.run.live else None
    for rank in run.ranks if run else ():
        if rank.device == device.id:
            yield "rank", (f"{rank.rank}, layers {rank.start}–{rank.end - 1}, {rank.phase}", "")
    for stage in state.plan.stages if state.plan and run is None else ():
        if device.id in stage.devices:
            yield "planned", (f"layers {stage.start}–{stage.end - 1}", "")


def link_rows(state: ClusterState, device: Device, width: int) -> list[Content]:
    """A row for each other device: how it is joined to this one."""
    usual = usual_us(state)
    cells: list[list[Cell]] = []
    for other in shown(state):
        if other.id != device.id:
            joined = edge(state, device.id, other.id, usual)
            word, tone = MARKS[joined.condition]
            cells.append(
                [
                    (other.name, "bold"),
                    (joined.kind, ""),
                    (f"{joined.gbps:g} Gb/s" if joined.gbps else "", ""),
                    (latency(joined.p50_us) if joined.p50_us is not None else "—", "bold"),
                    (f"p99 {latency(joined.p99_us)}" if joined.p99_us is not None else "", ""),
                    (f"{word or '● good'}{', ' + joined.why if joined.why else ''}", tone or "$text-success"),
                ]
            )
    return table(cells, width, flex=5, right=(3, 4), drop=(4, 2))


def path_rows(state: ClusterState, device: Device, width: int) -> list[Content]:
    """A row for each path to another device, those in use marked."""
    cells: list[list[Cell]] = []
    for link in state.links.values():
        if device.id not in (link.source, link.target):
            continue
        other = link.target if link.source == device.id else link.source
        for address, lane in lanes(link).items():
            why = broken(state, link, lane)
            used = address == link.in_use
            trip = latency(lane.last.p50_us) if lane.last is not None and not why else "—"
            cells.append(
                [
                    (other, "bold"),
                    (told(lane.last) if lane.last else address, ""),
                    (trip, "bold"),
                    (carried(link, lane, device.id), ""),
                    (f"✖ {why}", "$text-error")
                    if why
                    else ("● in use", "$text-success")
                    if used
                    else ("", ""),
                ]
            )
    return table(cells, width, flex=4, right=(2,), drop=(3,))


def carried(link: Link, lane: Lane, device: str) -> str:
    """What a path carries from and to a device."""
    if lane.loaded is None:
        return ""
    there, back = lane.loaded.there, lane.loaded.back
    if device == link.target:
        there, back = back, there
    ways = [f"{arrow}{pace(way)}" for arrow, way in (("↑", there), ("↓", back)) if way is not None]
    return " ".join(ways) or lane.loaded.problem


def check_rows(device: Device, width: int) -> list[Content]:
    """A row for each thing a rank needs of the device, and what to do where it is not so."""
    return table([_check(check) for check in (*checks(device), *device.reached)], width, flex=2)


def _check(check: Check) -> list[Cell]:
    if check.ok:
        return [("✓", "$text-success"), (check.name, "bold"), (check.told, "$muted")]
    return [
        ("✖", "$text-error"),
        (check.name, "bold"),
        ("; ".join(filter(None, (check.told, check.remedy))), ""),
    ]


def tell_measured(widget: Widget, desk: Desk, device: str) -> None:
    """Have the bandwidth measured, and say that it is or why it cannot be."""
    reason = desk.measure(device)
    if reason:
        widget.notify(f"Cannot measure the bandwidth: {reason}", severity="warning", markup=False)
    else:
        widget.notify(f"Measuring the paths of {device}, a second each way", markup=False)


class DeviceScreen(Closing[None]):
    """Facts and links of a device, above its memory over time."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.DEVICE, *keymap.BACK]

    def __init__(self, desk: Desk, device: str) -> None:
        super().__init__()
        self._desk = desk
        self._device = device
        self._drawn: object = None

    def compose(self) -> ComposeResult:
        """The rows scroll, the chart stays."""
        with Vertical():
            with Scroller(id="about"):
                yield Rows(id="facts")
            yield Chart(id="history")
        yield KeyBar()

    def on_mount(self) -> None:
        """Draw now and once a second."""
        self.call_after_refresh(self.paint)
        self.set_interval(EVERY, self.paint)

    def on_resize(self) -> None:
        """What is drawn is drawn for a size."""
        self._drawn = None
        self.call_after_refresh(self.paint)

    def paint(self) -> None:
        """Draw the device, if something is other than before."""
        state, width = self._desk.state, self.query_one("#facts").size.width
        if not width or self._drawn == (id(state), self._device):
            return
        self._drawn = (id(state), self._device)
        device = state.devices.get(self._device)
        if device is None:
            self.query_one("#facts", Rows).show(
                [line(("this device is gone; esc goes back", "$muted"), width=width)]
            )
            return
        rows = [line((device.name, "bold $text-accent"), width=width)]
        for label, (text, tone) in device_facts(state, device):
            rows += _labelled(label, text, tone, width)
        links = link_rows(state, device, width)
        if links:
            rows += [Content(""), line(("Links", "bold $text-accent"), width=width), *links]
        if paths := path_rows(state, device, width):
            title = line(
                ("Paths", "bold $text-accent"), ("  w measures what they carry", "$muted"), width=width
            )
            rows += [Content(""), title, *paths]
        if made := check_rows(device, width):
            rows += [Content(""), line(("Checks", "bold $text-accent"), width=width), *made]
        self.query_one("#facts", Rows).show(rows)
        self.query_one("#history", Chart).draw(device_memory(device), state.now)

    def action_measure(self) -> None:
        """What its paths carry."""
        tell_measured(self, self._desk, self._device)

    def action_choose(self, step: int) -> None:
        """The next device."""
        known = [device.id for device in shown(self._desk.state)]
        if known:
            at = known.index(self._device) if self._device in known else 0
            self._device = known[(at + step) % len(known)]
            self.paint()


def _labelled(label: str, text: str, tone: str, width: int) -> list[Content]:
    first, *rest = Content.styled(text, tone).wrap(max(10, width - _LABEL)) or [Content("")]
    return [
        Content.styled(f"{label:<{_LABEL}}", "$muted") + first,
        *(Content(" " * _LABEL) + r for r in rest),
    ]
