"""A report as one HTML file: no script, no request to anybody, everything from outside escaped. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from core.bench import card, export
from core.bench.metrics import Trial, telling
from core.bench.report import Report
from core.bench.table import Row

WIDTH, BAR, GAP = 640, 18, 10
PLOT = 140
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c1c1c; background: #fff }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
td, th { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
td.word, th.word { text-align: left; white-space: normal }
svg { max-width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: currentColor }
.bar { fill: #2a6fb5 } .whisker { stroke: currentColor; stroke-width: 1.5 } .dot { fill: #2a6fb5 }
.axis { stroke: #999 } li b { color: #a04000 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #161616 }
  td, th { border-color: #333 } .bar, .dot { fill: #6aa9e9 } li b { color: #ffb070 } }
"""


def page(report: Report) -> str:
    """The whole file."""
    heads, body = export.cells(report)
    ranks = export.spent(report.rows)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    title = escape(f"{report.card.model}: {report.card.suite or report.name}")
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
        _table(heads, body, 2),
        f"<p>{escape(export.note(report))}</p>",
        *(f"<p>{escape(export.sentence(one))}.</p>" for one in report.comparisons),
        _bars(report.rows),
        *map(_course, report.rows),
        "<h2>What to know</h2><ul>" if report.findings else "",
        *(f"<li><b>{escape(f.weight)}</b>: {escape(f.text)}</li>" for f in report.findings),
        "</ul>" if report.findings else "",
        "<h2>Provenance</h2>",
        _table(["what", ""], [list(pair) for pair in card.lines(report.card)], 2),
        _table(*ranks, 2) if ranks[1] else "",
        "</body></html>",
    ]
    return "\n".join(filter(None, parts)) + "\n"


def _table(heads: Sequence[str], body: Sequence[Sequence[str]], numbers_from: int) -> str:
    def row(values: Sequence[str], tag: str) -> str:
        cells = (
            f"<{tag}{'' if i >= numbers_from else ' class=word'}>{escape(value)}</{tag}>"
            for i, value in enumerate(values)
        )
        return f"<tr>{''.join(cells)}</tr>"

    return "\n".join(["<table>", row(heads, "th"), *(row(values, "td") for values in body), "</table>"])


def _bars(rows: Sequence[Row]) -> str:
    """What each point is about, a bar a row, with its interval."""
    found = [(row, telling(row.point)) for row in rows]
    known = [(row, metric, row.figures[metric.key]) for row, metric in found if metric.key in row.figures]
    if not known:
        return ""
    most = max(estimate.mean + (estimate.half or 0.0) for _, _, estimate in known)
    left, scale = 260, (WIDTH - 380) / most
    parts: list[str] = []
    for i, (row, metric, estimate) in enumerate(known):
        y = i * (BAR + GAP)
        end = left + estimate.mean * scale
        parts.append(f'<text x="0" y="{y + 13}">{escape(f"{row.plan}  {row.label}"[:44])}</text>')
        parts.append(f'<rect class="bar" x="{left}" y="{y}" width="{end - left:.1f}" height="{BAR}"/>')
        far = end
        if estimate.half is not None:
            low, far = end - estimate.half * scale, end + estimate.half * scale
            middle = y + BAR / 2
            parts.append(f'<path class="whisker" d="M{low:.1f} {middle}H{far:.1f}"/>')
        said = f"{export.figure(estimate, metric.digits)} {metric.unit}"
        parts.append(f'<text x="{far + 6:.1f}" y="{y + 13}">{escape(said)}</text>')
    return _svg(len(known) * (BAR + GAP), parts, "speed of each plan and point")


def _course(row: Row) -> str:
    """Every repeat in order of time: drift and outliers show here."""
    metric = telling(row.point)
    values = [(trial, value) for trial in row.trials if (value := metric.of(trial)) is not None]
    if len(values) < 2:
        return ""
    most = max(value for _, value in values) * 1.05
    step = (WIDTH - 120) / max(1, len(values) - 1)
    dots = [
        f'<circle class="dot" r="4" cx="{60 + i * step:.1f}" cy="{PLOT - value / most * (PLOT - 20):.1f}">'
        f"<title>{escape(_told(trial, value))}</title></circle>"
        for i, (trial, value) in enumerate(values)
    ]
    axis = f'<path class="axis" fill="none" d="M50 10V{PLOT}H{WIDTH - 40}"/>'
    marks = [
        f'<text x="0" y="20">{most:.4g}</text>',
        f'<text x="0" y="{PLOT}">0</text>',
        f'<text x="60" y="{PLOT + 16}">run 1 to {len(values)}</text>',
    ]
    name = f"{row.plan}, {row.label}: {metric.title}, {metric.unit}"
    return f"<h3>{escape(name)}</h3>" + _svg(PLOT + 24, [axis, *dots, *marks], name)


def _told(trial: Trial, value: float) -> str:
    return f"launch {trial.launch + 1}, run {trial.repeat + 1}: {value:.4g}"


def _svg(height: float, parts: Sequence[str], name: str) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(name)}" '
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">\n{body}\n</svg>'
    )
