"""The shard board as rows of text: a seat for each device, its layers as cells, its memory, its cable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.cells import cell_len
from textual.content import Content

from core.models.spec import ModelSpec
from core.plan.compare import holders
from core.plan.edit import Board
from core.plan.memory import footprint
from core.plan.plan import Footprint, Forecast, Host, Plan, Stage
from core.state import ClusterState, link_key
from core.text import size
from tui.hand import OUT, Hold, block, place, refusals, seats
from tui.widgets.boardgrid import COUNT, Grid
from tui.widgets.cells import Cell, fit, line, mark
from tui.widgets.figures import gib, latency
from tui.widgets.links import device_name
from tui.widgets.planstrip import series_style

AS_AUTO, MOVED, SHARED, LIFTED, GHOST, REFUSED, ELSEWHERE = "█", "▓", "▄", "░", "▒", "×", "·"
"""A layer: where the automatic plan has it; elsewhere by hand; on every device of a group; picked up; where
it would go; where it cannot; and where the automatic plan would have it."""
CUT = "┃"
WEIGHTS, CACHE, RUNTIME, TAKEN, FREE = "█", "▓", "▒", "░", "·"
"""Memory: of the rank, used by others or kept back, free."""
TALLEST = 7
"""Lines of a seat where there is room."""


@dataclass(frozen=True)
class View:
    """All that the board shows. `board` is the one with a boundary where it is held just now."""

    state: ClusterState
    board: Board
    spec: ModelSpec
    hosts: Mapping[str, Host]
    auto: Plan | None
    chosen: str
    layer: int | None
    """The chosen layer; None where the device's card is chosen."""
    hold: Hold | None = None
    forecast: Forecast | None = None
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why the others are not in the plan, as far as it was worked out."""


class Row(NamedTuple):
    """A line of the board, the device it belongs to, `OUT` beside the board, and whether it is cells."""

    content: Content
    device: str | None
    cells: bool = False


def grid(view: View, width: int) -> Grid:
    """The columns of a view."""
    return Grid(width, view.board.plan.layers, [device_name(view.state, name) for name in seats(view.board)])


def board_rows(view: View, width: int, height: int) -> list[Row]:
    """The board in `width` cells, using up to `height` lines where it can be done with so few."""
    board, cols = view.board, grid(view, width)
    beside = len(board.spare) + 1 if board.spare else 0
    tall = min(TALLEST, max(2, (height - 1 - beside) // max(1, len(board.used))))
    refused = refusals(board, view.hold) if view.hold and view.hold.what != "cut" else {}
    rows = [Row(_ruler(cols), None)]
    for device in board.used:
        rows += _seat(view, cols, device, tall, refused)
    if board.spare:
        rows.append(Row(_beside(view, width), OUT))
        rows += [_spare(view, cols, device, refused) for device in board.spare]
    return rows


def _ruler(cols: Grid) -> Content:
    """Numbers of layers above the cells."""
    text, free = " " * cols.left, cols.left
    step = next(n for n in (1, 2, 5, 10, 20, 50, 100, 1000) if n * cols.at[-1] >= 5 * cols.layers)
    for layer in range(0, cols.layers, step):
        if (at := cols.column(layer)) >= free:
            text += " " * (at - len(text)) + str(layer)
            free = len(text) + 1
    return Content.styled(text, "$muted")


# A device of the plan


def _seat(view: View, cols: Grid, device: str, tall: int, refused: Mapping[str, str]) -> list[Row]:
    at = place(view.board, device)
    assert at is not None
    stage, colour = view.board.stages[at], series_style(_shade(view.board, device))
    cells = _cells(view, cols, device, stage, colour, refused.get(device))
    chosen = view.chosen == device
    span = f"{stage.start}–{stage.end - 1}" if stage.layers > 1 else str(stage.start)
    head = [*_name(view, cols, device, colour, refused), *cells, *_count(view, device, stage)]
    rows = [Row(_line(head, cols, chosen), device, cells=True)]
    under: Cell = (fit(f"    {span}", cols.left), "$muted")
    for _ in range((tall - 3) // 2):
        rows.append(Row(_line([under, *cells], cols, chosen), device, cells=True))
        under = (" " * cols.left, "")
    cable = _cable(view, device)
    shared = cell_len(cable[0]) + 2 if tall == 2 else 0
    memory = _memory(view, cols, device, stage, colour, cols.strip + COUNT - shared)
    if tall == 2:
        room = cols.width - cols.left - sum(cell_len(text) for text, _ in memory)
        text, style = cable
        told = fit(text, room - 1, right=True) + " " if cell_len(text) < room else ""
        return [*rows, Row(_line([under, *memory, (told, style)], cols, chosen), device)]
    rows.append(Row(_line([under, *memory], cols, chosen), device))
    if tall >= 4 and (where := _time(view, at, cols.strip + COUNT)):
        rows.append(Row(_line([(" " * cols.left, ""), where], cols, chosen), device))
    rows.append(Row(_cable_line(view, cols, device, stage, cable), device))
    rows += [Row(Content(""), device)] * (tall - len(rows))
    return rows


def _line(cells: Sequence[Cell], cols: Grid, chosen: bool) -> Content:
    row = line(*cells, width=cols.width)
    return mark(row, cols.width) if chosen else row


def _shade(board: Board, device: str) -> int:
    """Number of a device's colour: of its stage, and in a group its own."""
    return board.used.index(device)


def _name(view: View, cols: Grid, device: str, colour: str, refused: Mapping[str, str]) -> list[Cell]:
    number = view.board.used.index(device) + 1
    pick, style = "›" if view.chosen == device else " ", "bold $text-accent"
    if view.hold is not None and view.hold.target == device and device in refused:
        pick, style = ("✖", "bold $text-error") if refused[device] else ("▸", "bold $text-success")
    elif view.hold is not None and device in refused:
        pick, style = ("×", "$muted") if refused[device] else ("▹", "$text-success")
    name = fit(device_name(view.state, device), cols.left - 5)
    card = view.chosen == device and view.layer is None
    lifted = view.hold is not None and view.hold.what == "card" and view.hold.device == device
    weight = "bold reverse" if card or lifted else "bold"
    return [(pick, style), (f"{number:>2} ", "$muted"), (name, f"{weight} {colour}"), (" ", "")]


def _count(view: View, device: str, stage: Stage) -> list[Cell]:
    """Layers of a device, and how many more than the automatic plan gives it."""
    auto = _auto_share(view, device)
    more = (
        "" if auto is None or stage.members else f"{stage.layers - auto:+d}" if stage.layers != auto else "="
    )
    if auto == 0 and not stage.members:
        more = "new"
    return [
        (f"{stage.layers:>4} ", "bold"),
        (fit(more, COUNT - 5), "$text-warning" if more != "=" else "$muted"),
    ]


def _auto_share(view: View, device: str) -> int | None:
    """Layers the automatic plan gives a device; None where there is no such plan."""
    if view.auto is None:
        return None
    return next((stage.layers for stage in view.auto.stages if device in stage.devices), 0)


def _cells(view: View, cols: Grid, device: str, stage: Stage, colour: str, refusal: str | None) -> list[Cell]:
    """The strip of one device over the columns of all layers."""
    board, hold = view.board, view.hold
    auto = holders(view.auto.stages) if view.auto and view.auto.layers == board.plan.layers else None
    lifted: tuple[int, int] = (0, 0)
    if hold is not None and hold.what == "block":
        lifted = block(board, hold)
    own = "+".join(stage.devices)
    parts: list[Cell] = []
    for layer in range(cols.layers):
        width = cols.at[layer + 1] - cols.at[layer]
        here = stage.start <= layer < stage.end
        held = lifted[0] <= layer < lifted[1]
        if here and held and hold and hold.device in stage.devices:
            parts.append((_cell(cols, LIFTED, width), colour))
        elif here and view.chosen == device and view.layer == layer and width:
            parts.append((fit("◆", max(1, width - 1)), f"bold reverse {colour}"))
            parts.append((" " * (width - max(1, width - 1)), ""))
        elif here:
            as_auto = auto is None or auto[layer] == own
            glyph = SHARED if stage.members else AS_AUTO if as_auto else MOVED
            parts.append((_cell(cols, glyph, width), colour))
        elif held and hold and hold.target == device:
            parts.append(
                (_cell(cols, REFUSED, width), "bold $text-error")
                if refusal
                else (_cell(cols, GHOST, width), f"bold {colour}")
            )
        elif auto is not None and device in auto[layer].split("+"):
            parts.append((fit(ELSEWHERE, width), colour))
        else:
            parts.append((" " * width, ""))
    rest = cols.strip - cols.at[-1]
    return _with_cuts(view, cols, stage, [*parts, (" " * rest, "")])


def _cell(cols: Grid, glyph: str, width: int) -> str:
    """One layer: a gap keeps neighbours apart where there is room for it."""
    return glyph * (width - 1) + " " if cols.roomy else glyph * width


def _with_cuts(view: View, cols: Grid, stage: Stage, parts: list[Cell]) -> list[Cell]:
    """Boundaries drawn beside the stage, in columns no layer of it uses."""
    stages = view.board.stages
    at = stages.index(stage)
    found: dict[int, str] = {}
    if at > 0:
        found[cols.cut_column(stage.start, above=False)] = _cut_style(view, at - 1)
    if at < len(stages) - 1:
        found[cols.cut_column(stage.end, above=True)] = _cut_style(view, at)
    drawn: list[Cell] = []
    column = 0
    for text, style in parts:
        for char in text:
            drawn.append((CUT, found[column]) if column in found else (char, style))
            column += 1
    return _joined(drawn)


def _joined(cells: Sequence[Cell]) -> list[Cell]:
    """Neighbours of one style together."""
    found: list[Cell] = []
    for text, style in cells:
        if found and found[-1][1] == style:
            found[-1] = (found[-1][0] + text, style)
        else:
            found.append((text, style))
    return found


def _cut_style(view: View, at: int) -> str:
    hold = view.hold
    if hold is not None and hold.what == "cut" and place(view.board, hold.device) == at:
        return "bold reverse $text-accent"
    return "bold $text-accent" if at == chosen_cut(view.board, view.chosen) else "$muted"


def chosen_cut(board: Board, device: str) -> int | None:
    """The boundary that keys move: behind the device's stage, before it for the last one."""
    at = place(board, device)
    last = len(board.stages) - 2
    return None if at is None or last < 0 else min(at, last)


def _memory(view: View, cols: Grid, device: str, stage: Stage, colour: str, room: int) -> list[Cell]:
    """A bar against the device's limit, and how much is left."""
    host = view.hosts.get(device)
    if host is None:
        return [
            (fit(f"✖ {view.board.devices.get(device, 'is not in the cluster')}", cols.strip), "$text-error")
        ]
    taken = footprint(view.spec, stage, host, view.board.plan.context)
    width = min(40, max(10, cols.strip // 3))
    left: Cell = (f" {size(taken.free)} free", "")
    if taken.free < 0:
        left = (f" ✖ {size(-taken.free)} short", "bold $text-error")
    elif taken.free < 0.1 * host.memory_limit:
        left = (f" ▲ {size(taken.free)} free", "$text-warning")
    parts = [*memory_bar(taken, host, width, colour), left]
    details = (
        f" of {gib(host.memory_limit)} GiB",
        f"   weights {size(taken.weights)} · KV {size(taken.cache)}",
        f" · runtime {size(taken.workspace + taken.runtime)}",
        f" · in use {size(host.memory_limit - taken.usable)}",
    )
    room -= sum(cell_len(text) for text, _ in parts)
    return [*parts, (_as_many(details, room), "$muted")]


def _as_many(parts: Sequence[str], room: int) -> str:
    """The first of the parts that fit together."""
    told = ""
    for part in parts:
        if cell_len(told + part) > room:
            break
        told += part
    return told


def memory_bar(taken: Footprint, host: Host, width: int, colour: str) -> list[Cell]:
    """Memory against the limit: weights, cache, the rest of the rank, what others use, free."""
    parts = (
        (WEIGHTS, taken.weights, colour),
        (CACHE, taken.cache, colour),
        (RUNTIME, taken.workspace + taken.runtime, colour),
        (TAKEN, host.memory_limit - taken.usable, "$muted"),
    )
    limit, sofar, drawn = max(1, host.memory_limit), 0, 0
    cells: list[Cell] = []
    for glyph, count, style in parts:
        sofar += count
        end = max(drawn, min(width, round(width * sofar / limit)))
        if count and end == drawn and end < width:
            end += 1
        cells.append((glyph * (end - drawn), style))
        drawn = end
    return [*cells, (FREE * (width - drawn), "$muted")]


def _time(view: View, at: int, room: int) -> Cell | None:
    """Where the device's share of a token's time goes."""
    if view.forecast is None or len(view.forecast.stages) != len(view.board.stages):
        return None
    timed = view.forecast.stages[at]
    parts = (
        ("weights", timed.weights_s),
        ("KV", timed.cache_s),
        ("computing", timed.compute_s),
        ("launches", timed.launch_s),
        ("all-reduce", timed.reduce_s),
        ("head", timed.head_s),
    )
    share = timed.busy_s * view.forecast.decode_tps
    told = [f" · {word} {latency(seconds * 1e6)}" for word, seconds in parts if seconds > 5e-6]
    return (_as_many((f"{share:.0%} of each token", *told), room), "$muted")


# Cables


def _cable(view: View, device: str) -> Cell:
    """The link to the next device of the plan; from the last one back to the first."""
    used = view.board.used
    if len(used) == 1:
        return ("", "")
    at = used.index(device)
    following = used[(at + 1) % len(used)]
    arrow = "↓" if at < len(used) - 1 else "↺"
    links = view.state.links
    link = links.get(link_key(device, following)) or links.get(link_key(following, device))
    if link is None:
        return (f"{arrow} not measured", "$muted")
    if link.failure or link.last is None:
        return (f"{arrow} ✖ {link.failure or 'no answer'}", "$text-error")
    return (f"{arrow} {link.last.kind} {latency(link.last.p50_us)}", "")


def _cable_line(view: View, cols: Grid, device: str, stage: Stage, cable: Cell) -> Content:
    """The cable where the one stage ends and the other begins."""
    text, style = cable
    at = view.board.stages.index(stage)
    if at == len(view.board.stages) - 1 or device != stage.devices[-1]:
        return line((" " * cols.left, ""), (text, style or "$muted"), width=cols.width)
    column = cols.left + cols.cut_column(stage.end, above=True)
    room = cols.width - column - 2
    grip: Cell = (CUT, _cut_style(view, at))
    if cell_len(text) <= room:
        return line((" " * column, ""), grip, (f" {text}", style), width=cols.width)
    return line((fit(f"{text} ", column, right=True), style), grip, width=cols.width)


# Devices out of the plan


def _beside(view: View, width: int) -> Content:
    hold = view.hold
    over = hold is not None and hold.what == "card" and hold.target == OUT
    tone = "bold reverse $text-accent" if over else "bold $text-accent"
    return line(("Out of the plan", tone), ("  x puts the chosen one in", "$muted"), width=width)


def _spare(view: View, cols: Grid, device: str, refused: Mapping[str, str]) -> Row:
    """A device without layers, and why it has none."""
    reason, host = view.board.devices[device], view.hosts.get(device)
    name = fit(device_name(view.state, device), cols.left - 5)
    pick, style = "›" if view.chosen == device else " ", "bold $text-accent"
    if view.hold is not None and device in refused:
        over = view.hold.target == device
        pick = ("✖" if over else "×") if refused[device] else ("▸" if over else "▹")
        style = "$text-error" if refused[device] else "$text-success"
    lifted = view.hold is not None and view.hold.what == "card" and view.hold.device == device
    weight = "bold reverse" if view.chosen == device or lifted else "bold"
    cells: list[Cell] = [(pick, style), ("   ", ""), (name, weight), (" ", "")]
    if reason or host is None:
        cells.append((f"✖ {reason}", "$text-error"))
        return Row(_line(cells, cols, view.chosen == device), device)
    if view.hold is not None and view.hold.target == device and view.hold.what == "block":
        start, end = block(view.board, view.hold)
        ghost = [
            (
                _cell(cols, REFUSED if refused.get(device) else GHOST, cols.at[i + 1] - cols.at[i]),
                "bold $text-error" if refused.get(device) else "bold $text-success",
            )
            if start <= i < end
            else (" " * (cols.at[i + 1] - cols.at[i]), "")
            for i in range(cols.layers)
        ]
        return Row(_line([*cells, *_joined(ghost)], cols, view.chosen == device), device, cells=True)
    auto = _auto_share(view, device)
    told = view.left_out.get(device, "").lstrip(":; ")
    if auto:
        told = f"the automatic plan gives it {auto} layer{'' if auto == 1 else 's'}"
    usable = f"○ {size(host.memory_limit)}"
    cells += [(usable, "$text-primary"), (f"  {told}" if told else "", "$muted")]
    return Row(_line(cells, cols, view.chosen == device), device)
