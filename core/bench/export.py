"""A report as people pass it on: lines for a terminal, Markdown, CSV, JSON. Pure."""

from __future__ import annotations

import csv as table
import io
from collections.abc import Sequence

import msgspec

from core.bench import card
from core.bench.compare import Comparison, Effect
from core.bench.metrics import Metric, Trial
from core.bench.report import Report, figure
from core.bench.table import ENOUGH_LAUNCHES, Row, shares
from core.text import size


def cells(report: Report) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the result table."""
    known = [m for m in report.metrics if any(m.key in row.figures for row in report.rows)]
    heads = ["plan", "point", "runs", *(f"{m.title} {m.unit}" for m in known), "peak"]
    body = [
        [
            row.plan,
            row.label,
            f"{row.launches}×{len(row.trials) // max(1, row.launches)}",
            *(figure(row.figures.get(metric.key), metric.digits) for metric in known),
            size(row.peak) if row.peak else "—",
        ]
        for row in report.rows
    ]
    return heads, body


def aligned(heads: Sequence[str], body: Sequence[Sequence[str]], numbers_from: int) -> list[str]:
    """A table for a terminal; from column `numbers_from` on to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *body, strict=True)]

    def row(values: Sequence[str]) -> str:
        parts = [
            value.rjust(width) if i >= numbers_from else value.ljust(width)
            for i, (value, width) in enumerate(zip(values, widths, strict=True))
        ]
        return "  ".join(parts).rstrip()

    return [row(heads), *map(row, body)]


def stacked(report: Report) -> list[str]:
    """A block a plan and point, for terminals in which the table would not fit."""
    lines: list[str] = []
    for row in report.rows:
        runs = f"{row.launches} launches, " if row.launches > 1 else ""
        lines.append(f"{row.plan}  {row.label}  ({runs}{len(row.trials)} runs)  {row.split}")
        for metric in report.metrics:
            if found := row.figures.get(metric.key):
                lines.append(f"    {metric.title:12} {figure(found, metric.digits):>16} {metric.unit}")
        if row.peak:
            lines.append(f"    {'peak':12} {size(row.peak):>16}")
    return lines


def note(report: Report) -> str:
    """What ± means here."""
    return meaning(report.rows)


def meaning(rows: Sequence[Row]) -> str:
    """What ± means for these rows."""
    if all(row.launches >= ENOUGH_LAUNCHES for row in rows):
        return "± is a 95 % interval over launches."
    return "± is a 95 % interval over repeats within a launch; another launch can differ by more."


def spent(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of a table of each plan's ranks: where their time went, and the peak of their memory."""
    body: list[list[str]] = []
    for plan in dict.fromkeys(row.plan for row in rows):
        for rank in shares([trial for row in rows if row.plan == plan for trial in row.trials]):
            parts = [f"{rank.compute_share:.0%}", f"{rank.wait_share:.0%}", f"{rank.transfer_share:.1%}"]
            body.append([plan, rank.device, *parts, size(rank.peak) if rank.peak else "—"])
    return ["plan", "rank on", "busy", "waiting", "handing over", "peak"], body


def text(report: Report, width: int) -> list[str]:
    """All of it for a terminal of `width` columns."""
    heads, body = cells(report)
    lines = aligned(heads, body, 2) if body else ["nothing was measured"]
    if max(map(len, lines)) > width:
        lines = stacked(report)
    lines += ["", note(report)]
    heads, body = spent(report.rows)
    if body:
        lines += ["", *aligned(heads, body, 2)]
    for comparison in report.comparisons:
        lines += ["", sentence(comparison)]
    lines += ["", *(f"{word:11}{what}" for word, what in card.lines(report.card))]
    if report.findings:
        lines += ["", *(f"{finding.weight}: {finding.text}" for finding in report.findings)]
    return lines


def sentence(comparison: Comparison) -> str:
    """The verdict, with the effect it rests on."""
    effect = comparison.overall
    said = f"{comparison.second} against {comparison.first}: {comparison.verdict}"
    return said if effect is None else f"{said} ({change(effect)}, {effect.metric})"


def change(effect: Effect) -> str:
    """`+4.1 %, 99 % interval +1.9 to +6.3 %, over launches`."""
    low, high = (effect.low - 1) * 100, (effect.high - 1) * 100
    sure = f"{effect.confidence * 100:.3g} %"
    return (
        f"{(effect.ratio - 1) * 100:+.1f} %, {sure} interval {low:+.1f} to {high:+.1f} %, over {effect.unit}"
    )


def compared(comparison: Comparison) -> list[str]:
    """A comparison for a terminal: what differs, what speaks against it, then the effects."""
    lines = [f"first   {comparison.first}", f"second  {comparison.second}", ""]
    if comparison.differences:
        heads = ["", "first", "second"]
        rows = [[d.what, d.first, d.second] for d in comparison.differences]
        lines += aligned(heads, rows, 3)
    else:
        lines.append("Devices, links, plan, model and versions are the same.")
    if comparison.findings:
        lines += ["", *(f"{finding.weight}: {finding.text}" for finding in comparison.findings)]
    if comparison.effects:
        heads = ["point", "figure", "first", "second", "change", "interval", "second is"]
        rows = [
            [
                effect.point,
                effect.metric,
                f"{effect.first:.4g}",
                f"{effect.second:.4g}",
                f"{(effect.ratio - 1) * 100:+.1f} %",
                f"{(effect.low - 1) * 100:+.1f} to {(effect.high - 1) * 100:+.1f} %",
                effect.verdict,
            ]
            for effect in comparison.effects
        ]
        lines += ["", *aligned(heads, rows, 2)]
    return [*lines, "", sentence(comparison)]


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _markdown_table(heads: Sequence[str], body: Sequence[Sequence[str]], numbers_from: int) -> list[str]:
    rule = ["---:" if i >= numbers_from else "---" for i in range(len(heads))]
    return ["| " + " | ".join(map(_quoted, row)) + " |" for row in (heads, rule, *body)]


def markdown(report: Report) -> str:
    """For a forum post: the table, then its provenance folded away."""
    heads, body = cells(report)
    lines = _markdown_table(heads, body, 2)
    lines += ["", note(report)]
    for comparison in report.comparisons:
        lines += ["", _quoted(sentence(comparison)) + "."]
    lines += ["", *(f"- **{f.weight}**: {_quoted(f.text)}" for f in report.findings)]
    lines += ["", "<details><summary>Provenance</summary>", ""]
    lines += _markdown_table(["what", ""], [list(pair) for pair in card.lines(report.card)], 2)
    heads, body = spent(report.rows)
    if body:
        lines += ["", *_markdown_table(heads, body, 2)]
    lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def csv(report: Report) -> str:
    """One line a trial, warm-ups too: for one's own statistics. Peaks are bytes; a plan with fewer ranks than
    others has none in the columns of the last ones."""
    out = io.StringIO()
    writer = table.writer(out, lineterminator="\n")
    keys = [metric.key for metric in report.metrics]
    point = ["prompt", "depth", "generate", "concurrency"]
    ranks = range(max((rank.rank + 1 for trial in report.trials for rank in trial.ranks), default=0))
    heads = ["plan", "split", "launch", "repeat", "warmup", "started", "seconds", *point, "reused", *keys]
    writer.writerow([*heads, "peak", *(f"peak_rank{rank}" for rank in ranks)])
    for trial in report.trials:
        peaks = {rank.rank: rank.peak for rank in trial.ranks}
        asked = [""] * len(point) if trial.point is None else msgspec.structs.astuple(trial.point)
        writer.writerow(
            [
                _inert(trial.plan),
                _inert(trial.split),
                trial.launch,
                trial.repeat,
                int(trial.warmup),
                f"{trial.started:.3f}",
                f"{trial.seconds:.6f}",
                *asked,
                sum(answer.reused for answer in trial.answers),
                *(_number(metric, trial) for metric in report.metrics),
                max(peaks.values(), default=""),
                *(peaks.get(rank, "") for rank in ranks),
            ]
        )
    return out.getvalue()


def _inert(value: str) -> str:
    # A spreadsheet would run it.
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t") else value


def _number(metric: Metric, trial: Trial) -> str:
    value = metric.of(trial)
    return "" if value is None else f"{value:.6g}"


def document(report: Report) -> dict[str, object]:
    """For programs: everything, down to each trial's figures and each answer's gaps between tokens."""
    return {
        "schema": "exo-bench/1",
        "name": report.name,
        "provenance": report.card,
        "findings": report.findings,
        "results": [
            {
                "plan": row.plan,
                "split": row.split,
                "point": row.point,
                "launches": row.launches,
                "trials": len(row.trials),
                "figures": {
                    metric.key: {
                        "mean": found.mean,
                        "half": found.half,
                        "count": found.count,
                        "unit": metric.unit,
                    }
                    for metric in report.metrics
                    if (found := row.figures.get(metric.key))
                },
                "peak": row.peak,
                "ranks": shares(row.trials),
            }
            for row in report.rows
        ],
        "comparisons": report.comparisons,
        "trials": report.trials,
    }
