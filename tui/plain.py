"""Everything in ASCII, for terminals that show nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_SAME = {
    "●": "*", "○": "o", "◆": "+", "▲": "!", "✖": "x", "■": "#", "•": "-", "›": ">", "▸": ">", "▶": ">",
    "⏸": "=", "✓": "v", "→": ">", "←": "<", "↑": "^", "↓": "v", "⏎": "<", "…": "~", "·": "-", "—": "-",
    "–": "-", "×": "x", "µ": "u", "°": "o", "█": "#", "▓": "%", "▒": ":", "░": ".", "▌": "#", "▐": "#",
    "━": "=", "─": "-", "╌": ".", "│": "|", "║": "|", "═": "=", "▏": "|", "▎": "|", "▍": "|", "▕": "|",
    "▀": "-", "▄": "=", "▁": "_", "▂": "_", "▃": "_", "▅": "=", "▆": "#", "▇": "#", "▔": "-", "▊": "#",
    "▋": "#", "▉": "#", "’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ", "✔": "v", "◉": "@", "◐": "+",
    "▾": "v", "▼": "v", "▹": ">", "▪": ".", "◇": "o", "▚": "#", "↺": "@", "±": "+", "²": "2", "−": "-",
    "�": "?",
}  # fmt: skip
_DOTS = " .:-=+*#@"
"""For a braille character, by how many of its eight dots there are."""


def ascii_of(text: str) -> str:
    """`text` in as many cells, all of them ASCII."""
    return text if text.isascii() else "".join(char if char < "\x80" else _one(char) for char in text)


def _one(char: str) -> str:
    code = ord(char)
    if char in _SAME:
        return _SAME[char]
    if 0x2800 <= code <= 0x28FF:
        return _DOTS[(code & 0xFF).bit_count()]
    if 0x2500 <= code <= 0x257F:
        return "+"
    return "?" * cell_len(char)


class Ascii(LineFilter):
    """Draws everything in ASCII: borders, marks, bars and plots of any screen, at the last moment."""

    def apply(self, segments: Sequence[Segment], background: Color) -> list[Segment]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The same segments in other characters."""
        return [Segment(ascii_of(text), style, control) for text, style, control in segments]
