"""What the plan on the board is worth, above it; what the keys do just now, below."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content

from core.circumstances import wires
from core.plan.backend import refit
from core.plan.compare import change, tightest
from core.plan.plan import Forecast, Plan, caching
from core.state import ClusterState
from core.text import size
from tui.table import Table
from tui.widgets.boardrows import AS_AUTO, CACHE, ELSEWHERE, FREE, MOVED, RUNTIME, TAKEN, WEIGHTS
from tui.widgets.cells import Cell, line


def head_rows(
    table: Table,
    plan: Plan,
    forecast: Forecast | None,
    base: Forecast | None,
    pending: bool,
    replay: bool,
    width: int,
) -> list[Content]:
    """What it is; how fast, or that this is `pending`; and whether it can be launched."""
    state, board = table.state, table.board
    kind = board.kind if board else "pipeline"
    if kind == "tensor" and len(plan.stages) > 1:
        kind = "groups in a pipeline"
    carrier = refit(plan.backend, plan.stages, wires(state))
    facts = {
        "model": plan.model, "layers": f"{plan.layers} layers", "kind": kind,
        "context": caching(plan.context, state.model.kv_bits if state.model else 0), "carrier": str(carrier),
    }  # fmt: skip
    origin: Cell = (" ○ automatic", "$text-primary")
    if state.by_hand:
        origin = (" ◆ by hand", "$text-warning")
    if replay:
        origin = (" ■ recorded", "$muted")
    title: Cell = (" Board ", "bold reverse $text-accent")
    against = base if state.by_hand or table.hold else None
    room = width - cell_len(title[0] + origin[0])
    return [
        line(title, origin, (_about(facts, room), "$muted"), width=width),
        line(*_figures(plan, forecast, against, pending, width), width=width),
        line(_launch(table, state, replay), width=width),
    ]


def _about(facts: dict[str, str], room: int) -> str:
    """As many of the facts as there is room for: what the card and the cables below also say goes first."""
    for gone in ((), ("carrier",), ("carrier", "kind"), ("carrier", "kind", "layers")):
        about = "  " + " · ".join(text for name, text in facts.items() if name not in gone)
        if cell_len(about) <= room:
            break
    return about


def _figures(
    plan: Plan, forecast: Forecast | None, base: Forecast | None, pending: bool, width: int
) -> list[Cell]:
    if forecast is None:
        why = "computing the figures…" if pending else "no figures: not every device of the plan is there"
        return [(f" {why}", "$muted")]
    name, left = tightest(plan, forecast)
    cells: list[Cell] = [(f" {forecast.decode_tps:.1f} tok/s", "bold")]
    cells += _against(forecast.decode_tps, base.decode_tps if base else None, more_is_better=True)
    cells.append((f"   first token {forecast.ttft_s:.2f} s", "bold"))
    cells += _against(forecast.ttft_s, base.ttft_s if base else None, more_is_better=False)
    tone = "bold $text-error" if left < 0 else "bold"
    cells.append((f"   head-room {size(left)} on {name}", tone))
    if width >= 110:
        longest = f"context up to {forecast.max_context}" if forecast.max_context else "no context fits"
        cells.append((f"   {longest}   ({forecast.confidence})", "$muted"))
    return cells


def _against(value: float, base: float | None, *, more_is_better: bool) -> list[Cell]:
    """How much better or worse than the automatic plan."""
    if base is None:
        return []
    told = change(base, value)
    if told == "same":
        return [(" = auto", "$muted")]
    better = (value > base) is more_is_better
    return [(f" {'▲' if value > base else '▼'} {told}", "$text-success" if better else "$text-error")]


def _launch(table: Table, state: ClusterState, replay: bool) -> Cell:
    if replay:
        return (" a recording is only looked at", "$muted")
    problems = list(table.problems)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        can = "could not" if table.hold is not None else "cannot"
        return (f" ✖ {can} be launched: {problems[0]}{more}", "$text-error")
    if table.hold is not None:
        return (" ✔ could be launched", "$text-success")
    if state.run is not None and state.run.live:
        same = table.board is not None and state.run.plan.stages == table.board.stages
        if same:
            return (" ● this plan runs now", "$text-success")
        return (" ● another plan runs now; enter asks, stops it and launches this one", "$text-warning")
    return (" ✔ can be launched: enter", "$text-success")


def foot_rows(table: Table, width: int) -> list[Content]:
    """Two lines: what is held and where it may go; else why the last thing did not work; else what is
    chosen, and the signs."""
    if table.hold is not None or table.said:
        cells = _holding(table) if table.hold is not None else [(f" ✖ {table.said}", "$text-error")]
        told = Content.assemble(*cells).wrap(max(1, width - 1))
        return [*told, Content("")][:2]
    signs = (
        f" {AS_AUTO} as auto {MOVED} moved {ELSEWHERE} auto's place   "
        f"{WEIGHTS} weights {CACHE} KV {RUNTIME} runtime {TAKEN} in use {FREE} free"
    )
    return [line(*_choice(table), width=width), line((signs, "$muted"), width=width)]


def _choice(table: Table) -> Sequence[Cell]:
    """What a pick-up would pick up."""
    if table.board is None:
        return [("", "")]
    if table.chosen not in table.board.used:
        return [(f" › {table.chosen}", "bold"), ("   x puts it in, space picks it up", "$muted")]
    if table.layer is None:
        return [(f" › {table.chosen}", "bold"), ("   space picks it up, → goes to its layers", "$muted")]
    return [
        (f" › layer {table.layer} of {table.chosen}", "bold"),
        ("   space picks up from here to the end, ↑ or ↓ says which end", "$muted"),
    ]


def _holding(table: Table) -> Sequence[Cell]:
    hold = table.hold
    assert hold is not None
    keys = "letting go or enter drops, esc puts back"
    if hold.what == "cut":
        return [
            (f" ┃ {table.held}", "bold $text-accent"),
            ("   let go to leave it there, esc puts it back", "$muted"),
        ]
    if hold.target is None or hold.target == hold.device:
        way = "↑ ↓ to a device" if hold.what == "card" else "↑ ↓ to a device, ← → more or fewer layers"
        return [
            (f" ▚ {table.held} of {hold.device}" if hold.what == "block" else f" ▚ {table.held}", "bold"),
            (f"   {way}, {keys}", "$muted"),
        ]
    where = hold.target or "out of the plan"
    if reason := table.verdict:
        return [(f" ✖ {table.held} → {where}: ", "bold $text-error"), (reason, "$text-error")]
    return [(f" ▸ {table.held} → {where}", "bold $text-success"), (f"   {keys}", "$muted")]
