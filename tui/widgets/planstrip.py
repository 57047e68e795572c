"""The plan: which layers go where, one cell a layer."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from core.plan.plan import Plan, caching
from core.state import ClusterState, Rank
from tui.widgets.cells import Cell, fit, line
from tui.widgets.links import device_name
from tui.widgets.rows import StateRows

SERIES = 8
"""Colours `$series-1` and on that a theme may set."""
_LOADED = ("warmup", "ready")


def series_style(index: int) -> str:
    """Style of the n-th of several things shown side by side."""
    return f"$series-{index % SERIES + 1}"


def edges(layers: int, width: int) -> list[int]:
    """Column where each layer begins, and the end: all alike where a layer has room for a gap."""
    if width >= 2 * layers:
        width -= width % layers
    return [layer * width // layers for layer in range(layers + 1)]


def plan_rows(state: ClusterState, width: int) -> list[Content]:
    """Heading, labels, the strip and the reasons; or why there is no plan."""
    run = state.run if state.run and state.run.live else None
    plan = run.plan if run else state.plan
    if plan is None:
        model = state.model.name if state.model else "no model chosen"
        waiting = "waiting for devices to be ready" if state.model else "M shows the models on this computer"
        why = state.plan_failure or waiting
        tone = "$text-error" if state.plan_failure else "$muted"
        mark = "✖ no plan: " if state.plan_failure else "no plan yet: "
        head = line(("Plan", "bold $text-accent"), (f"  {model}", "$muted"), width=width)
        wrapped = Content.styled(f"{mark}{why}", tone).wrap(max(1, width - 2))
        return [head, *(Content("  ") + row for row in wrapped)]
    cache = caching(plan.context, state.model.kv_bits if state.model else 0)
    about = f"  {plan.model} · {plan.layers} layers · {plan.backend} · {cache}"
    hand: Cell = (" · by hand" if state.by_hand and not run else "", "$text-warning")
    rows = [line(("Plan", "bold $text-accent"), (about, "$muted"), hand, width=width)]
    if plan.obstacle and not run:
        rows += Content.styled(f"✖ cannot be launched: {plan.obstacle}", "$text-error").wrap(max(1, width))
    rows += [_labels(state, plan, width), _cells(plan, run.ranks if run else (), width)]
    # While it runs the ranks matter more than why they are where they are.
    for why in plan.why[:1] if run else plan.why:
        rows += [row.stylize("$muted") for row in Content(why).wrap(max(1, width))]
    return rows


def _labels(state: ClusterState, plan: Plan, width: int) -> Content:
    at = edges(plan.layers, width)
    parts: list[Cell] = []
    for index, stage in enumerate(plan.stages):
        end = width if index == len(plan.stages) - 1 else at[stage.end]
        room = end - at[stage.start]
        name = "+".join(device_name(state, device) for device in stage.devices)
        span = f"{stage.start}–{stage.end - 1}"
        label = f"{name} {span}" if len(name) + len(span) < room else name
        parts.append((fit(label, max(0, room - 1)) + " " if room else "", f"bold {series_style(index)}"))
    return line(*parts, width=width)


def _cells(plan: Plan, ranks: Sequence[Rank], width: int) -> Content:
    at = edges(plan.layers, width)
    parts: list[Cell] = []
    for index, stage in enumerate(plan.stages):
        # Members of a tensor group load the same layers side by side: the slowest one counts.
        held = min((_held(r, stage.layers) for r in ranks if r.stage == index), default=stage.layers)
        text = "".join(
            _cell(at[layer + 1] - at[layer], layer - stage.start < held)
            for layer in range(stage.start, stage.end)
        )
        parts.append((text, series_style(index)))
    return line(*parts, width=width)


def _cell(columns: int, held: bool) -> str:
    """One layer: a gap keeps neighbours apart where there is room for it, half a block where not."""
    if columns <= 1:
        return ("▌" if held else "░") * columns
    return ("█" if held else "░") * (columns - 1) + " "


def _held(rank: Rank, layers: int) -> int:
    """How many of its layers a rank has loaded."""
    if rank.loaded or rank.phase in _LOADED:
        return layers
    if rank.phase == "load" and rank.total:
        return layers * rank.done // rank.total
    return 0


class PlanStrip(StateRows):
    """The plan of the live run, otherwise the one a launch would use."""

    def rows(self, state: ClusterState, width: int) -> Sequence[Content]:
        """See `plan_rows`."""
        return plan_rows(state, width)
