"""Every key, with an id so that a keymap can move it. Help, palette and `:` are made from these.

A tuple belongs to one widget or screen. What a key does is told by its tooltip; `show` is for the few
that the footer has room for.
"""

from __future__ import annotations

from textual.binding import Binding

from tui.keymap.board import BOARD, HOLDING, PLANS
from tui.keymap.console import CHAT, CLUSTER, COMPOSER, CONSOLE, PLOTS
from tui.keymap.dialogs import (
    ADD,
    CONVERSATIONS,
    DIALOG,
    ENTRY,
    FORM,
    HELP,
    LINE,
    LIST,
    MODELS,
    QUESTION,
    RECORDINGS,
    THEMES,
    TRUST,
)
from tui.keymap.everywhere import APP, BACK, FILTER, FILTER_BAR, PLAYBACK, SCROLL
from tui.keymap.printed import key_named, key_names
from tui.keymap.screens import BENCH, COMPARE, DEVICE, DOCTOR, MAP, PLAN

__all__ = [
    "ADD",
    "APP",
    "BACK",
    "BENCH",
    "BESIDE",
    "BOARD",
    "CHAT",
    "CLUSTER",
    "COMPARE",
    "COMPOSER",
    "CONSOLE",
    "CONVERSATIONS",
    "DEVICE",
    "DIALOG",
    "DOCTOR",
    "ENTRY",
    "FILTER",
    "FILTER_BAR",
    "FORM",
    "HELP",
    "HOLDING",
    "LINE",
    "LIST",
    "MAP",
    "MODELS",
    "PLAN",
    "PLANS",
    "PLAYBACK",
    "PLOTS",
    "QUESTION",
    "RECORDINGS",
    "SCROLL",
    "THEMES",
    "TRUST",
    "groups",
    "key_named",
    "key_names",
]

BESIDE: dict[str, tuple[str, ...]] = {
    **{name: ("CONSOLE", "APP") for name in ("PLAYBACK", "CLUSTER", "PLOTS", "FILTER", "SCROLL", "CHAT")},
    **dict.fromkeys(("CONVERSATIONS", "MODELS", "RECORDINGS", "PLANS"), ("LIST",)),
    **dict.fromkeys(
        (
            "LIST",
            "DIALOG",
            "DOCTOR",
            "FORM",
            "ADD",
            "ENTRY",
            "HELP",
            "PLAN",
            "LINE",
            "THEMES",
            "QUESTION",
            "TRUST",
            "COMPOSER",
            "FILTER_BAR",
            "HOLDING",
        ),
        (),
    ),
}
"""Whose keys work at the same time as those of a tuple: APP's, where nothing else is said."""


def groups() -> dict[str, tuple[Binding, ...]]:
    """Every tuple of bindings, by its name."""
    return {name: value for name, value in globals().items() if name.isupper() and isinstance(value, tuple)}
