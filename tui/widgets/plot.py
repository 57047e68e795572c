"""plotext 6, held at arm's length: what goes in is checked, what comes out are strips.

Importing it takes 100 ms, so `load` is called from a thread once the console is on the screen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.widgets.buckets import Point

_SGR = re.compile(r"\x1b\[([\d;]*)m")

Curve = tuple[list[Point], int]
"""Points, and the number of the line they belong to."""
Tag = tuple[Point, str, int]
"""A letter at a point, and the number of the line it names."""


@cache
def load() -> Any:
    """The plotext module. Its size limit is the terminal seen at import, which is none of ours."""
    plotext = import_module("plotext")
    plotext.terminal.limit(False, False)
    return plotext


def render(
    curves: Sequence[Curve],
    size: tuple[int, int],
    columns: int,
    times: tuple[str, str],
    values: tuple[str, str, str],
    tags: Sequence[Tag] = (),
) -> str:
    """The picture as text with SGR codes. Points must lie in `[0, columns]` x `[0, 1]` and be finite."""
    plotext = load()
    figure = plotext.figure
    figure.clear()
    figure.plot_size(*size)
    figure.theme("colorless")
    for points, index in curves:
        # The number travels as a colour: plotext knows nothing of themes and of a terminal's own colours.
        marker = plotext.marker("braille", (index, 0, 0))
        xs, ys = zip(*points, strict=True)
        figure.draw(figure.signal(list(xs), list(ys), marker=marker).lines())
    for (x, y), letter, index in tags:
        figure.draw(figure.signal([x], [y], marker=plotext.marker(letter, (index, 0, 0))))
    figure.ruler("x").lim(0, columns)
    figure.ruler("y").lim(0, 1)
    figure.ruler("x").ticks([0, columns], list(times))
    figure.ruler("y").ticks([0, 0.5, 1], list(values))
    figure.axes(False, axis="x", side="upper")
    figure.axes(False, axis="y", side="right")
    return figure.build().string()


def _style(code: str, base: Style, styles: Sequence[Style]) -> Style:
    parts = [int(part or 0) for part in code.split(";")]
    match parts:
        case [38, 2, index, 0, 0, *_] if index < len(styles):
            return styles[index]
        case _:
            return base


def strips(ansi: str, width: int, base: Style, styles: Sequence[Style]) -> list[Strip]:
    """The lines of a picture, each curve in the style of its number.

    A blank keeps the style before it, which saves bytes on the wire.
    """
    rows: list[Strip] = []
    for line in ansi.splitlines():
        current = base
        first, *rest = _SGR.split(line)
        segments = [Segment(first, current)] if first else []
        for code, text in zip(rest[::2], rest[1::2], strict=True):
            if text.isspace() and segments:
                segments[-1] = Segment(segments[-1].text + text, segments[-1].style)
                continue
            current = _style(code, base, styles)
            if text:
                segments.append(Segment(text, current))
        rows.append(Strip(segments).simplify().adjust_cell_length(width, base))
    return rows
