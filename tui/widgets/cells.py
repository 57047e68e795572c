"""Text that must fill a given number of terminal cells."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from rich.cells import cell_len, set_cell_size
from textual.content import Content

Cell = tuple[str, str]
"""A text and the style it is shown in."""

GAP = 2
_FLEX_LEAST = 6
_IN_NUMBER = re.compile(r"[\d.,:/]*\d[\d.,:/]*$")


def cut(text: str, width: int) -> str:
    """As much of `text` as has room in `width` cells, and an ellipsis; of a number all or nothing."""
    kept = set_cell_size(text, max(0, width - 1))
    if text[len(kept) : len(kept) + 1].isdigit() or kept[-1:].isdigit():
        kept = _IN_NUMBER.sub("", kept)
    return kept + "…"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: padded, or cut with an ellipsis."""
    text = text.replace("\n", " ").replace("\t", " ")
    length = cell_len(text)
    if length > width:
        return fit(cut(text, width), width) if width > 0 else ""
    blank = " " * (width - length)
    return blank + text if right else text + blank


def line(*cells: Cell, width: int) -> Content:
    """One row of styled texts, cut at `width`."""
    parts = [(text.replace("\n", " ").replace("\t", " "), style) for text, style in cells]
    row, width = Content.assemble(*parts), max(1, width)
    if row.cell_length <= width:
        return row
    return row.truncate(cell_len(cut(row.plain, width)), ellipsis=True)


def pointer(chosen: bool) -> Cell:
    """The mark in front of a row that can be chosen."""
    return ("›" if chosen else " ", "bold $text-accent")


def mark(row: Content, width: int) -> Content:
    """A chosen row, over the whole width."""
    return row.pad_right(max(0, width - row.cell_length)).stylize_before("on $panel")


def table(
    rows: Sequence[Sequence[Cell]],
    width: int,
    *,
    flex: int,
    least: int = _FLEX_LEAST,
    right: Collection[int] = (),
    drop: Sequence[int] = (),
) -> list[Content]:
    """Rows in columns as wide as what they hold.

    What does not fit is taken from column `flex` first, down to `least` cells, then whole columns go in the
    order of `drop`.
    """
    if not rows:
        return []
    widths = [max(cell_len(row[i][0]) for row in rows) for i in range(len(rows[0]))]
    shown = [i for i, w in enumerate(widths) if w]

    def excess() -> int:
        return sum(widths[i] for i in shown) + GAP * (len(shown) - 1) - width

    for victim in (None, *drop):
        if victim in shown:
            shown.remove(victim)
        if flex in shown and excess() > 0:
            widths[flex] -= min(excess(), max(0, widths[flex] - least))
        if excess() <= 0:
            break
    built: list[Content] = []
    for row in rows:
        parts: list[Cell] = []
        for i in shown:
            text, style = row[i]
            parts.append((fit(text, widths[i], right=i in right), style))
            parts.append((" " * GAP, ""))
        built.append(line(*parts[:-1], width=width))
    return built
