"""A report as people pass it on: lines for a terminal, Markdown, CSV, JSON. Pure."""

from __future__ import annotations

import csv as table
import io
import time
from collections.abc import Sequence

import msgspec

from core.bench.compare import Comparison, Effect
from core.bench.metrics import Metric, Trial
from core.bench.provenance import Card, DeviceCard, LinkCard
from core.bench.report import Report, figure
from core.bench.table import ENOUGH_LAUNCHES, Row, shares
from core.models import fingerprint
from core.text import size

GIB = 2**30


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


def provenance(card: Card) -> list[tuple[str, str]]:
    """The card, as pairs of a word and what it says."""
    model = f"{card.model}, {card.quantization}, {card.layers} layers"
    lines = [
        ("model", f"{model}, {fingerprint.told(card.model_sha256, 16)}"),
        ("suite", f"{card.suite}, sha256 {card.suite_sha256[:16]}" if card.suite else "none"),
    ]
    if card.sampling is not None:
        chosen = "greedy" if card.sampling.temperature == 0 else f"temperature {card.sampling.temperature:g}"
        lines.append(("sampling", f"{chosen}, answers of fixed length"))
    lines += [("from cache", told) for told in card.cache]
    lines += [("device", _device(device)) for device in card.devices]
    lines += [("link", _link(link)) for link in card.links if link.used]
    for plan in card.plans:
        forecast = f", forecast {plan.forecast_tps:.1f} tok/s" if plan.forecast_tps else ""
        options = f", {plan.options}" if plan.options else ""
        lines.append(
            (
                "plan",
                f"{plan.name}: {plan.split}, {plan.backend}, context {plan.context}{options}{forecast}; "
                f"launch {plan.launch_s:.1f} s (load {plan.load_s:.1f} s), "
                f"held sha256 {plan.held_sha256[:16] or 'not certified'}",
            )
        )
    lines += [
        ("versions", ", ".join(f"{name} {number}" for name, number in card.software.items())),
        ("started", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(card.started))),
    ]
    return lines


def _device(device: DeviceCard) -> str:
    memory = f"{device.memory / GIB:.1f} GiB {'budget' if device.budget else 'usable'}"
    load = "load not known" if device.load is None else f"load {device.load:.1f} at the start"
    hot = "temperature not known" if device.celsius is None else f"{device.celsius:.0f} °C"
    drawn = "power not known" if device.watts is None else f"{device.watts:.0f} W"
    extra = [hot, drawn, device.compute, f"BLAS {device.blas}" if device.blas else ""]
    extra.append("weights made float32" if device.dequantised else "")
    own = ", ".join(filter(None, extra))
    shown = f"{device.name}: {device.chip}, {device.cores} cores, {memory}, {device.system}, {load}"
    return f"{shown}, {own}" if own else shown


def _link(link: LinkCard) -> str:
    before = "not measured" if link.before_us is None else f"{link.before_us:.0f} µs"
    if link.during_us is None:
        during = "not measured"
    else:
        during = f"{link.during_us:.0f} µs (p99 {link.worst_us or 0:.0f})"
    return (
        f"{link.source}→{link.target}: {link.kind} over {link.address}, round trip {before} before, "
        f"{during} during"
    )


def busy(rows: Sequence[Row]) -> list[str]:
    """Where each rank's time went, by plan."""
    lines: list[str] = []
    for plan in dict.fromkeys(row.plan for row in rows):
        own = [trial for row in rows if row.plan == plan for trial in row.trials]
        parts = [
            f"{rank.device} {rank.compute_share:.0%} busy {rank.wait_share:.0%} waiting "
            f"{rank.transfer_share:.1%} handing over"
            for rank in shares(own)
        ]
        if parts:
            lines.append(f"{plan}: {', '.join(parts)}")
    return lines


def text(report: Report, width: int) -> list[str]:
    """All of it for a terminal of `width` columns."""
    heads, body = cells(report)
    lines = aligned(heads, body, 2) if body else ["nothing was measured"]
    if max(map(len, lines)) > width:
        lines = stacked(report)
    lines += ["", note(report)]
    if told := busy(report.rows):
        lines += ["", *told]
    for comparison in report.comparisons:
        lines += ["", sentence(comparison)]
    lines += ["", *(f"{word:11}{what}" for word, what in provenance(report.card))]
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
    lines += _markdown_table(["what", ""], [list(pair) for pair in provenance(report.card)], 2)
    lines += ["", *(f"- {_quoted(told)}" for told in busy(report.rows)), "", "</details>"]
    return "\n".join(lines) + "\n"


def csv(report: Report) -> str:
    """One line a trial, warm-ups too: for one's own statistics."""
    out = io.StringIO()
    writer = table.writer(out, lineterminator="\n")
    keys = [metric.key for metric in report.metrics]
    point = ["prompt", "depth", "generate", "concurrency"]
    writer.writerow(
        ["plan", "split", "launch", "repeat", "warmup", "started", "seconds", *point, "reused", *keys, "peak"]
    )
    for trial in report.trials:
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
                max((rank.peak for rank in trial.ranks), default=""),
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
