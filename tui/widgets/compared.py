"""Recordings side by side, in rows: what differs first, then what that came to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import wrap

from rich.cells import cell_len
from textual.content import Content

from core.bench import export
from core.bench.compare import Comparison, Effect, Verdict
from core.bench.lint import Weight
from core.bench.report import Report
from tui.widgets.cells import GAP, Cell, fit, line, table

WORDS: dict[Verdict, Cell] = {
    "faster": ("↑ faster", "bold $text-success"),
    "slower": ("↓ slower", "bold $text-error"),
    "no difference shown": ("= no difference shown", "bold"),
    "not comparable": ("✖ not comparable", "bold $text-error"),
}
_WEIGHTS: dict[Weight, Cell] = {
    "not comparable": ("✖ ", "$text-error"),
    "with care": ("▲ ", "$text-warning"),
    "missing": ("○ ", "$muted"),
}
BAR = 25
WIDEST = math.log(4)
"""A bar shows at most from a quarter to four times the speed."""


def side_rows(reports: Sequence[Report], width: int) -> list[Content]:
    """The recordings, the one they are compared with first."""
    heads: list[Cell] = [(text, "bold $text-accent") for text in ("", "recording", "plans", "devices")]
    body = [_side(report, first=i == 0) for i, report in enumerate(reports)]
    return table([heads, *body], width, flex=2, drop=(3,))


def _side(report: Report, *, first: bool) -> list[Cell]:
    plans = ", ".join(f"{plan.split} {plan.backend}" for plan in report.card.plans)
    chips = dict.fromkeys(device.chip for device in report.card.devices)
    devices = f"{len(report.card.devices)} × {', '.join(chips)}" if chips else "none"
    return [
        ("first" if first else "", "$muted"),
        (report.name, "bold"),
        (plans or "none measured", ""),
        (devices, "$muted"),
    ]


def comparison_rows(comparison: Comparison, width: int) -> list[Content]:
    """One against the first: what differs, what speaks against comparing, the verdict and its effects."""
    names = (f"{comparison.second} against {comparison.first}", "bold $text-accent")
    rows = [line(names, width=width), *_differences(comparison, width)]
    for finding in comparison.findings:
        glyph, style = _WEIGHTS[finding.weight]
        told = f"{finding.weight}: {finding.text}"
        for i, part in enumerate(wrap(told, width - len(glyph)) or [""]):
            rows.append(line((glyph if i == 0 else "  ", style), (part, style), width=width))
    told = comparison.overall
    rows += [Content(), line(WORDS[comparison.verdict], width=width)]
    if told is not None:
        rows.append(line((f"  {export.change(told)}: {told.metric}", ""), width=width))
    return [*rows, Content(), *_effects(comparison, width)]


def _differences(comparison: Comparison, width: int) -> list[Content]:
    if not comparison.differences:
        text = "Devices, links, plans, model and versions are the same."
        return [line((text, "$muted"), width=width)]
    body: list[list[Cell]] = [
        [(d.what, "$muted"), (d.first, ""), (d.second, "")] for d in comparison.differences
    ]
    widths = [max(cell_len(row[i][0]) for row in body) for i in range(3)]
    if sum(widths) + 2 * GAP <= width:
        heads: list[Cell] = [(text, "bold $text-accent") for text in ("differs", "first", "this one")]
        return table([heads, *body], width, flex=2)
    rows: list[Content] = []
    for (what, style), first, second in body:
        rows += [
            line((fit(what, widths[0]), style), ("  first     ", "$muted"), first, width=width),
            line((" " * widths[0], ""), ("  this one  ", "$muted"), second, width=width),
        ]
    return rows


def _effects(comparison: Comparison, width: int) -> list[Content]:
    effects = [*([comparison.overall] if comparison.overall else []), *comparison.effects]
    if not effects:
        return []
    most = min(WIDEST, max(max(abs(math.log(e.low)), abs(math.log(e.high))) for e in effects))
    scale = f"{math.exp(-most) - 1:+.0%}"
    heads: list[Cell] = [
        (text, "bold $text-accent")
        for text in (
            "point", "figure", "first", "this one", "change", "interval",
            f"{scale}{'0':^{BAR - 2 * len(scale)}}{math.exp(most) - 1:+.0%}", "this one is",
        )
    ]  # fmt: skip
    return table(
        [heads, *(_effect(e, most) for e in effects)], width, flex=-1, right=(2, 3, 4), drop=(6, 2, 3)
    )


def _effect(effect: Effect, most: float) -> list[Cell]:
    word, style = WORDS[effect.verdict]
    shown = effect.verdict in ("faster", "slower")
    return [
        (effect.point, ""),
        (effect.metric, ""),
        (f"{effect.first:.4g}", "$muted"),
        (f"{effect.second:.4g}", "$muted"),
        (f"{(effect.ratio - 1) * 100:+.1f} %", "bold" if shown else ""),
        (f"{(effect.low - 1) * 100:+.1f} to {(effect.high - 1) * 100:+.1f}", ""),
        (bar(effect, most), style if shown else "$muted"),
        (word, style if shown else "$muted"),
    ]


def bar(effect: Effect, most: float) -> str:
    """The interval on a logarithmic scale from -most to +most, with no change in its middle."""
    middle = BAR // 2

    def place(ratio: float) -> int:
        return middle + round(min(1.0, max(-1.0, math.log(ratio) / most if most else 0.0)) * middle)

    cells = list("·" * BAR)
    cells[middle] = "│"
    for i in range(place(effect.low), place(effect.high) + 1):
        cells[i] = "━"
    cells[place(effect.ratio)] = "●"
    return "".join(cells)
