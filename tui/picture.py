"""What the terminal shows already, so that only what differs from it is sent.

Textual writes whole rows of a widget and names both colours with every piece of text. Over a slow line that
is most of the bytes: of an answer that grows by a word, the word is a hundredth of what would be sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from rich.cells import get_character_cell_size, split_graphemes

_TOKEN = re.compile("\x1b\\[(?:(?P<y>\\d+);(?P<x>\\d+)H|(?P<style>[\\d;]*)m)|(?P<text>[^\x00-\x1f\x7f]+)|\n")
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_APART = re.compile("\x1b\\](?:22|52);[^\x07]*\x07|\x07")
"""Orders that leave what is shown as it is: the pointer's shape, a text for the clipboard, the bell."""
_BRIDGE = 4
"""Cells that stay as they are but are written again: moving on costs as many bytes."""
_OFF = {1: 22, 2: 22, 3: 23, 4: 24, 5: 25, 6: 25, 7: 27, 8: 28, 9: 29}
"""What ends an attribute of a text."""

Cell = tuple[str, str]
"""A character and its style; no character where a wide one goes on."""
_UNKNOWN: Cell = ("\0", "")
"""Who can tell what the terminal shows there."""


class Picture:
    """Reads what Textual would write and tells what has to be written.

    A picture of the whole screen is told whole: after a resize, a new theme or another screen nothing is left
    of what something else wrote on the terminal.
    """

    def __init__(self) -> None:
        self._size = (0, 0)
        self._rows: dict[int, list[Cell]] = {}
        self._pen: str | None = None
        self._at: tuple[int, int] | None = None
        self._begin = ""

    def told(self, data: str, size: tuple[int, int]) -> str:
        """What to write in place of `data` on a terminal of `size` columns and rows."""
        if size != self._size:
            self._forget()
            self._size = size
        if data == _BEGIN:
            self._begin = data
            return ""
        if data == _END:
            begun, self._begin = not self._begin, ""
            return data if begun else ""
        made = self._drawn(data)
        if made is None:
            if not _APART.fullmatch(data):
                self._forget()
            made = data
        if made:
            made, self._begin = self._begin + made, ""
        return made

    def _forget(self) -> None:
        self._rows, self._pen, self._at = {}, None, None

    def _drawn(self, data: str) -> str | None:
        """What differs; None where `data` is no picture, or does not fit."""
        read = _read(data, self._size, self._rows)
        if read is None:
            return None
        if read.whole:
            self._forget()
        out: list[str] = []
        for y, row in read.rows.items():
            old = self._rows.get(y) or [_UNKNOWN] * len(row)
            self._rows[y] = row
            for start, end in _changed(old, row, read.touched[y]):
                self._move(out, start, y)
                for style, cells in groupby(row[start:end], itemgetter(1)):
                    if style != self._pen:
                        out.append(_turn(self._pen, style))
                        self._pen = style
                    out += [cell[0] for cell in cells]
                # Behind the last column a terminal is where it likes to be.
                self._at = (end, y) if end < len(row) else None
        if read.cursor is not None:
            self._move(out, *read.cursor)
        return "".join(out)

    def _move(self, out: list[str], x: int, y: int) -> None:
        if self._at == (x, y):
            return
        if self._at is not None and self._at[1] == y and x > self._at[0]:
            ahead = x - self._at[0]
            out.append(f"\x1b[{ahead}C" if ahead > 1 else "\x1b[C")
        else:
            out.append(f"\x1b[{y + 1};{x + 1}H")
        self._at = (x, y)


class _Read(NamedTuple):
    """What a picture makes of the rows it touches."""

    rows: dict[int, list[Cell]]
    touched: dict[int, list[tuple[int, int]]]
    """From which column to which, in the order it was written."""
    cursor: tuple[int, int] | None
    whole: bool


def _read(data: str, size: tuple[int, int], known: dict[int, list[Cell]]) -> _Read | None:
    width, height = size
    rows: dict[int, list[Cell]] = {}
    touched: dict[int, list[tuple[int, int]]] = {}
    x = y = -1
    style = ""
    done = cells = 0
    for token in _TOKEN.finditer(data):
        if token.start() != done:
            return None
        done = token.end()
        kind = token.lastgroup
        if kind == "x":
            y, x = int(token["y"]) - 1, int(token["x"]) - 1
        elif kind == "style":
            style = token["style"]
        elif kind == "text":
            text = token["text"]
            chars = text if text.isascii() else _chars(text)
            end = x + len(chars)
            if y < 0 or y >= height or end > width:
                return None
            if y not in rows:
                rows[y] = list(known.get(y) or [_UNKNOWN] * width)
                touched[y] = []
            row = rows[y]
            # Half of a wide character is none.
            if x and not row[x][0]:
                row[x - 1] = (" ", row[x - 1][1])
            if end < width and not row[end][0]:
                row[end] = (" ", row[end][1])
            row[x:end] = [(char, style) for char in chars]
            touched[y].append((x, end))
            cells += len(chars)
            x = end
    if done != len(data):
        return None
    return _Read(rows, touched, (x, y) if y >= 0 else None, cells >= width * height)


@lru_cache(2048)
def _chars(text: str) -> Sequence[str]:
    """What each of its cells holds."""
    if all(get_character_cell_size(char) == 1 for char in text):
        return text
    chars: list[str] = []
    for start, end, room in split_graphemes(text)[0]:
        if room:
            chars += [text[start:end], *[""] * (room - 1)]
        elif chars:
            chars[-1] += text[start:end]
    return chars


def _odd(row: list[Cell]) -> bool:
    """Terminals differ on how wide something in it is."""
    chars = [char for char, _ in row]
    text = "".join(chars)
    return not text.isascii() and ("" in chars or len(text) != len(chars) or max(text) >= "\U0001f000")


def _changed(old: list[Cell], new: list[Cell], touched: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The columns to write, from one to another."""
    spans: list[tuple[int, int]] = []
    if _odd(old) or _odd(new):
        # What Textual writes at once is written at once.
        for start, end in sorted(touched):
            if spans and start <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(end, spans[-1][1])
            else:
                spans.append((start, end))
        return [(start, end) for start, end in spans if old[start:end] != new[start:end]]
    for x, (before, after) in enumerate(zip(old, new, strict=True)):
        if before == after:
            continue
        if spans and x - spans[-1][1] <= _BRIDGE and _UNKNOWN not in new[spans[-1][1] : x]:
            spans[-1] = spans[-1][0], x + 1
        else:
            spans.append((x, x + 1))
    return spans


class _Look(NamedTuple):
    """A style, taken apart."""

    attributes: frozenset[int]
    text: tuple[int, ...]
    ground: tuple[int, ...]


_PLAIN = _Look(frozenset(), (), ())


@lru_cache(4096)
def _look(style: str) -> _Look | None:
    """None for one that is not understood."""
    codes = [int(code or 0) for code in style.split(";")]
    attributes: set[int] = set()
    text: tuple[int, ...] = ()
    ground: tuple[int, ...] = ()
    while codes:
        code = codes[0]
        size = {5: 3, 2: 5}.get(codes[1] if len(codes) > 1 else 0, 1) if code in (38, 48) else 1
        part, codes = tuple(codes[:size]), codes[size:]
        if code == 0:
            attributes, text, ground = set(), (), ()
        elif code in _OFF:
            attributes.add(code)
        elif code == 38 or 30 <= code <= 37 or 90 <= code <= 97:
            text = part
        elif code == 48 or 40 <= code <= 47 or 100 <= code <= 107:
            ground = part
        elif code == 39:
            text = ()
        elif code == 49:
            ground = ()
        else:
            return None
    return _Look(frozenset(attributes), text, ground)


@lru_cache(4096)
def _turn(pen: str | None, style: str) -> str:
    """From the style that is on to another one."""
    before = None if pen is None else _look(pen)
    after = _look(style)
    if before is None or after is None:
        return f"\x1b[0;{style}m" if style else "\x1b[0m"
    if after == _PLAIN:
        return "\x1b[0m"
    ends = sorted({_OFF[code] for code in before.attributes - after.attributes})
    begins = sorted(code for code in after.attributes if code not in before.attributes or _OFF[code] in ends)
    codes = [*ends, *begins]
    if after.text != before.text:
        codes += after.text or (39,)
    if after.ground != before.ground:
        codes += after.ground or (49,)
    return f"\x1b[{';'.join(map(str, codes))}m" if codes else ""
