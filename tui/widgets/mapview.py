"""The map drawn: one device with an edge to each of the others, all pairs as a triangle, and a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content

from core.state import ClusterState, Device
from tui.netmap import MARKS, Edge, edge, usual_us, worst_us
from tui.widgets.cells import Cell, fit, line, mark, pointer, table
from tui.widgets.devices import STATUS
from tui.widgets.figures import bar, gib, latency

_BOX_MOST = 26
_NODE_MOST = 34
_WIDE = 110
"""Cells from which an edge has room for p99 as well."""


def star(state: ClusterState, devices: Sequence[Device], hub: Device, width: int) -> list[Content]:
    """`hub` in a box at the left, an edge to each other device, whose row is at the edge's end.

    A line for each device at least, and as many as the box needs.
    """
    box = _box(hub, min(_BOX_MOST, max(16, width // 4)))
    others = [device for device in devices if device.id != hub.id]
    if not others:
        return [line(*row, width=width) for row in box] + [
            line(("  alone: add a peer, or wait for one to be found", "$muted"), width=width)
        ]
    gap = 2 if len(others) <= 4 else 1
    height = max(len(box), (len(others) - 1) * gap + 1)
    first = (height - ((len(others) - 1) * gap + 1)) // 2
    rows_of = {first + i * gap: device for i, device in enumerate(others)}
    last = max(rows_of)
    top, joint = (height - len(box)) // 2, height // 2
    usual = usual_us(state)
    box_width = sum(cell_len(text) for text, _ in box[0])
    node = min(_NODE_MOST, max(20, width // 3))
    rows: list[Content] = []
    for y in range(height):
        parts: list[Cell] = list(box[y - top]) if top <= y < top + len(box) else [(" " * box_width, "")]
        inside = first <= y <= last
        device = rows_of.get(y)
        stem = "──" if y == joint else "  "
        parts.append((stem, "$muted"))
        parts.append(
            (_corner(y, first, last, joint, device is not None) if inside or y == joint else " ", "$muted")
        )
        if device is not None:
            joined = edge(state, hub.id, device.id, usual)
            room = width - box_width - 3 - node
            parts += _along(joined, room, long=width >= _WIDE)
            parts += _end(device, node)
        rows.append(line(*parts, width=width))
    return rows


def _corner(y: int, first: int, last: int, joint: int, branch: bool) -> str:
    """The character of the trunk: which of its four arms there are."""
    arms = (y > first, y < last, y == joint, branch)
    return {
        (False, True, False, True): "┌", (True, False, False, True): "└", (True, True, False, True): "├",
        (True, True, True, True): "┼", (True, True, True, False): "┤", (True, True, False, False): "│",
        (False, True, True, True): "┬", (True, False, True, True): "┴", (False, False, True, True): "─",
    }.get(arms, "│")  # fmt: skip


def _along(joined: Edge, room: int, *, long: bool) -> list[Cell]:
    """An edge with its words on it. A line that does not carry is broken, and says so."""
    good = joined.condition == "good"
    word, tone = MARKS[joined.condition]
    words = joined.words
    if long and joined.p99_us is not None:
        words += f" (p99 {latency(joined.p99_us)})"
    if joined.condition in ("dead", "unmeasured"):
        words = joined.kind if joined.kind != "?" else ""
    said = " · ".join(part for part in (words, word) if part)
    if joined.why and cell_len(said) + cell_len(joined.why) + 8 <= room:
        said += f", {joined.why}"
    stroke = "─" if good else "╌"
    style = "$text-success" if good else tone
    text = fit(said, min(cell_len(said), max(0, room - 5)))
    rest = max(1, room - cell_len(text) - 5)
    return [(f"{stroke * 2} ", style), (text, "" if good else f"bold {tone}"), (f" {stroke * rest} ", style)]


def _end(device: Device, room: int) -> list[Cell]:
    glyph, tone = STATUS[device.status]
    if device.status == "ready":
        glyph = glyph[0]
    held = _memory(device) if device.status == "ready" else ""
    name = fit(device.name, max(6, room - cell_len(glyph) - cell_len(held) - 3))
    return [(f"{glyph} ", tone), (name, "bold"), (f" {held}", "$muted")]


def _memory(device: Device) -> str:
    sample = device.sample
    return f"{gib(sample.memory_used)}/{gib(sample.memory_limit)} GiB" if sample else ""


def _box(device: Device, width: int) -> list[list[Cell]]:
    inner = width - 4
    sample, facts = device.sample, device.facts
    glyph, tone = STATUS[device.status]
    texts: list[Cell] = [(glyph, tone)]
    if facts:
        texts.append((facts.chip, ""))
    if sample:
        share = sample.memory_used / sample.memory_limit if sample.memory_limit else 0.0
        texts += [(_memory(device), ""), (f"{bar(share, max(4, inner - 5))} {share:.0%}", "$text-primary")]
    name = fit(device.name, min(cell_len(device.name), inner - 2))
    top: list[Cell] = [
        ("╭─ ", "$accent"),
        (name, "bold $text-accent"),
        (f" {'─' * (width - cell_len(name) - 5)}╮", "$accent"),
    ]
    rows: list[list[Cell]] = [top]
    rows += [[("│ ", "$accent"), (fit(text, inner), style), (" │", "$accent")] for text, style in texts]
    rows.append([(f"╰{'─' * (width - 2)}╯", "$accent")])
    return rows


def triangle(state: ClusterState, devices: Sequence[Device], width: int) -> list[Content]:
    """Every pair once, as road maps tell distances: a row and a column meet where their link is.

    Nothing where it does not fit.
    """
    if len(devices) < 3:
        return []
    usual = usual_us(state)
    cells = [[_pair(edge(state, a.id, b.id, usual)) for b in devices[:i]] for i, a in enumerate(devices)]
    names = max(cell_len(device.name) for device in devices)
    wide = max(9, *(cell_len(text) for row in cells for text, _ in row)) + 2
    if names + 2 + wide * (len(devices) - 1) > width:
        return []
    rows: list[Content] = []
    for i, device in enumerate(devices):
        parts: list[Cell] = [(fit(device.name, names + 2), "bold")]
        parts += [(fit(text, wide), style) for text, style in cells[i]]
        if i < len(devices) - 1:
            parts.append((fit(device.name, wide), "bold $muted"))
        rows.append(line(*parts, width=width))
    return rows


def _pair(joined: Edge) -> Cell:
    mark_, tone = MARKS[joined.condition]
    if joined.condition in ("dead", "unmeasured"):
        return (mark_ if joined.condition == "dead" else "·", tone)
    trip = latency(joined.p50_us) if joined.p50_us is not None else ""
    kind = {"Thunderbolt": "TB", "Ethernet": "Eth", "loopback": "loop"}.get(joined.kind, joined.kind)
    return (f"{mark_[:1]}{kind} {trip}", tone if mark_ else "")


def device_table(
    state: ClusterState, devices: Sequence[Device], width: int, chosen: str | None
) -> list[Content]:
    """A row for each device, with the worst of its links: for clusters too large to draw."""
    worst = worst_us(state)
    head: list[Cell] = [
        (text, "$muted")
        for text in ("", "", "status", "device", "chip", "memory", "", "load", "worst link", "address")
    ]
    rows = [head, *([*_row(state, d, worst, d.id == chosen)] for d in devices)]
    made = table(rows, width, flex=4, right=(6, 7, 8), drop=(9, 4, 7))
    return [made[0]] + [
        mark(row, width) if device.id == chosen else row
        for device, row in zip(devices, made[1:], strict=True)
    ]


def _row(state: ClusterState, device: Device, worst: dict[str, float], chosen: bool) -> list[Cell]:
    glyph, tone = STATUS[device.status]
    sample = device.sample
    share = sample.memory_used / sample.memory_limit if sample and sample.memory_limit else 0.0
    trip = worst.get(device.id)
    link: Cell = ("—", "$muted")
    if trip is not None:
        link = ("✖ dead", "$text-error") if trip == float("inf") else (latency(trip), "")
    return [
        pointer(chosen),
        (glyph[:1], tone),
        (glyph[2:], tone),
        (device.name, "bold"),
        (device.facts.chip if device.facts else "", ""),
        (bar(share, 8) if sample else "", ""),
        (_memory(device), ""),
        (f"{sample.load:.2f}" if sample and sample.load is not None else "", "$muted"),
        link,
        (device.address, "$muted"),
    ]
