"""The glass of a terminal: what a program's bytes make of it, as far as a console uses one."""

from __future__ import annotations

import re

from rich.cells import get_character_cell_size

_TOKEN = re.compile(
    r"\x1b\[(?P<codes>[0-9;]*)(?P<order>[A-Za-z])"
    r"|\x1b(?:\[[?<>=][0-9;$]*[a-zA-Z]|\][^\x07]*\x07|[=>78]|[()][A-Z0-9])"
    r"|(?P<text>[^\x00-\x1f\x7f])"
    r"|[\x00-\x1a\x1c-\x1f\x7f]",
    re.DOTALL,
)


class Glass:
    """Columns and rows of cells, each a character and the style in force when it was written."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.cells = [[(" ", "")] * width for _ in range(height)]
        self._x = self._y = 0
        self._style: dict[str, str] = {}
        self._rest = ""

    @property
    def text(self) -> str:
        """What can be read on it."""
        return "\n".join("".join(text for text, _ in row).rstrip() for row in self.cells)

    def feed(self, data: str) -> None:
        """Write `data`; an escape sequence that is cut at its end waits for the rest."""
        data = self._rest + data
        done = 0
        for token in _TOKEN.finditer(data):
            if token.start() != done:
                break
            done = token.end()
            if token["text"]:
                self._put(token["text"])
            elif token["order"]:
                self._obey(token["order"], [int(code or 0) for code in token["codes"].split(";")])
        self._rest = data[done:]

    def _obey(self, order: str, codes: list[int]) -> None:
        match order, codes:
            case "H", [y, x]:
                self._y, self._x = y - 1, x - 1
            case "C", [ahead]:
                self._x += ahead or 1
            case "J", [2]:
                self.cells = [[(" ", "")] * self.width for _ in range(self.height)]
            case "m", _:
                self._colour(codes)
            case _:
                pass

    def _colour(self, codes: list[int]) -> None:
        ends = {22: "12", 23: "3", 24: "4", 25: "5", 27: "7", 28: "8", 29: "9", 39: "t", 49: "g"}
        while codes:
            code = codes[0]
            size = {5: 3, 2: 5}[codes[1]] if code in (38, 48) else 1
            told, codes = ";".join(map(str, codes[:size])), codes[size:]
            if code == 0:
                self._style = {}
            elif code in ends:
                self._style = {key: value for key, value in self._style.items() if key not in ends[code]}
            elif code < 10:
                self._style = self._style | {str(code): told}
            else:
                self._style = self._style | {"g" if code // 10 in (4, 10) else "t": told}

    def _put(self, char: str) -> None:
        room = get_character_cell_size(char)
        row = self.cells[self._y]
        style = ",".join(f"{key}={value}" for key, value in sorted(self._style.items()))
        if room == 0:
            if 0 < self._x <= self.width:
                text, worn = row[self._x - 1]
                row[self._x - 1] = (text + char, worn)
            return
        at = min(self._x, self.width - room)  # no wrapping
        if row[at][0] == "" and at:
            row[at - 1] = (" ", row[at - 1][1])  # half of a wide one is none
        end = at + room
        if end < self.width and row[end][0] == "":
            row[end] = (" ", row[end][1])
        row[at : at + room] = [(char, style), *[("", style)] * (room - 1)]
        self._x = at + room
