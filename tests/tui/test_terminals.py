"""Terminals that can do less: no colour, sixteen colours, no UTF-8, nothing at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.color import Color as RichColor
from rich.color import ColorType
from textual.color import Color

import tui
from tests.tui import scenes
from tests.tui.conftest import NARROW, WIDE, Open
from tui import themes
from tui.capable import pace, plain, refusal
from tui.plain import ascii_of


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=str)
async def test_without_utf8_everything_is_ascii_and_in_its_place(
    console: Open, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXO_TUI_ASCII", "1")
    async with console(scenes.everything(), size) as desk:
        for key in ("1", "3", "5"):
            await desk.press(key)
            assert desk.text.isascii(), [char for char in desk.text if char > "\x7f"]
            assert {len(row) for row in desk.text.splitlines()} == {size[0]}
            assert "demo-a" in desk.text


def test_which_terminals_get_ascii() -> None:
    assert not plain({"TERM": "xterm-256color"}, "utf-8")
    assert not plain({"TERM": "xterm-256color"}, "UTF8")
    assert plain({"TERM": "xterm-256color"}, "iso-8859-1")
    assert plain({"TERM": "xterm-256color"}, None)
    assert plain({"TERM": "linux"}, "utf-8")
    assert plain({"TERM": "xterm", "EXO_TUI_ASCII": "1"}, "utf-8")
    assert not plain({"TERM": "linux", "EXO_TUI_ASCII": "0"}, "utf-8")


def test_a_character_becomes_as_many_cells_as_it_took() -> None:
    for text in ("● ready ▲ ⣿⠁⠀ ╭─╮", "日本語", "naïve · 41 µs", "😀"):
        assert ascii_of(text).isascii()
        assert len(ascii_of(text)) == cell_len(text)


def test_a_terminal_that_cannot_move_its_cursor_is_refused() -> None:
    assert refusal({"TERM": "xterm"}) is None
    assert "TERM=dumb" in str(refusal({"TERM": "dumb"}))
    assert "TERM is not set" in str(refusal({}))


@pytest.mark.parametrize(
    ("environ", "fps"),
    [
        ({}, "60"),
        ({"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}, "20"),
        ({"SSH_TTY": "/dev/pts/3"}, "20"),
        ({"SSH_TTY": "/dev/pts/3", "TEXTUAL_FPS": "30"}, "30"),
    ],
    ids=["here", "over SSH", "in tmux over SSH", "as asked for"],
)
def test_over_ssh_there_are_fewer_pictures_a_second(environ: dict[str, str], fps: str) -> None:
    script = "from textual.constants import MAX_FPS; print(MAX_FPS)"
    told = environ | pace(environ)
    said = subprocess.run(
        [sys.executable, "-c", script], env=told, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == fps


async def test_no_color_leaves_no_colour_and_reaches_children(
    console: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with console(scenes.everything(), NARROW) as desk:
        await desk.press("3")
        for strip in desk.app.screen._compositor.render_strips():
            for segment in strip:
                for colour in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    if colour is not None and colour.triplet is not None:
                        assert len(set(colour.triplet)) == 1, (segment.text, colour)
        assert os.environ["NO_COLOR"] == "1"


async def test_the_ansi_theme_sends_the_sixteen_colours_only(console: Open) -> None:
    async with console(scenes.everything(), NARROW) as desk:
        desk.app.theme = "ansi"
        for key in ("1", "3", "4", "5"):
            await desk.press(key)
            for strip in desk.app.screen._compositor.render_strips():
                for segment in strip:
                    for colour in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                        assert colour is None or colour.type in (ColorType.DEFAULT, ColorType.STANDARD), (
                            segment
                        )


def _light(colour: Color) -> float:
    parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: Color, other: Color) -> float:
    low, high = sorted((_light(one), _light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    "theme", [t for t in themes.load(themes.folder())[0] if not t.ansi], ids=lambda t: t.name
)
def test_a_theme_can_be_read_and_survives_256_colours(theme) -> None:
    def seen(text: str) -> Color:
        """As plain ssh shows it."""
        return Color.from_rich_color(RichColor.parse(text).downgrade(2))

    ground = {name: Color.parse(getattr(theme, name)) for name in ("background", "surface", "panel")}
    for colour in ground.values():
        shown = Color.from_rich_color(RichColor.parse(colour.hex6.lower()).downgrade(2))
        assert max(abs(a - b) for a, b in zip(colour.rgb, shown.rgb, strict=True)) <= 10
        assert contrast(Color.parse(theme.foreground), colour) >= 4.5
    for name, text in theme.variables.items():
        assert contrast(Color.parse(text), ground["background"]) >= 3.0, name


def test_every_sign_of_the_console_has_one_in_ascii() -> None:
    signs = {char for file in Path(tui.__file__).parent.rglob("*.py") for char in file.read_text("utf-8")}
    assert not [char for char in signs - {"\ufffd"} if ascii_of(char) == "?" != char]
    assert len({*map(ascii_of, "█▓▒░")}) == 4, "weights, cache, runtime and what is free"
