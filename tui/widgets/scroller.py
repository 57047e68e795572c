"""A pane of text to read, scrolled by arrows and by vi's keys alike."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll

from tui import keymap


class Scroller(VerticalScroll):
    """What a pane of rows or a card is in."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.SCROLL)
