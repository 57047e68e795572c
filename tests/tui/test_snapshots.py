"""Every screen as it was when somebody last looked at it, in three sizes and three themes.

`EXO_TUI_SNAPSHOTS=write` writes `snapshots/` anew: look at what changed before it is committed. With
`EXO_TUI_SNAPSHOTS=all` every size is drawn in every theme; else the light and the ANSI theme at 80x24 only,
where there is least room.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.color import Color as RichColor
from rich.segment import Segment
from textual.color import Color
from textual.screen import ModalScreen

from tests.tui.gallery import PICTURES, SIZES, THEMES, Picture, View, opened, still
from tests.tui.test_terminals import contrast

HERE = Path(__file__).parent / "snapshots"
HOW = os.environ.get("EXO_TUI_SNAPSHOTS", "")
TURNS = [("ansi", SIZES[0]), ("light", SIZES[0]), *(("dark", size) for size in SIZES)]
"""Themes are changed where that costs least; all the others by hand."""
if HOW == "all":
    TURNS = [(theme, size) for theme in reversed(THEMES) for size in SIZES]
LOOKS = 60
CUT_NUMBER = re.compile(r"\d…")
LEAST = 4.5
"""Contrast of text that WCAG asks for."""


@pytest.fixture(autouse=True)
def _no_clock() -> Iterator[None]:
    with still():
        yield


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
async def test_a_screen_looks_as_it_did(picture: Picture) -> None:
    kept = {} if HOW == "write" else _read(picture.name)
    seen: dict[str, str] = {}
    async with opened(picture, TURNS[0][0]) as view:
        for theme, size in TURNS:
            if not HOW and size == SIZES[1] and isinstance(view.app.screen, ModalScreen):
                continue  # it shows no more than the smallest
            await view.turn(size, theme)
            name = f"{size[0]}x{size[1]}"
            title = (
                f"{theme} {name}" if theme == "ansi" else name
            )  # there Textual draws some borders otherwise
            seen.setdefault(title, text := await _settled(view, kept.get(title, kept.get(name, ""))))
            # Below dialogs, a screen that has grown is drawn again at the next news, which come every second.
            below = HOW == "all" and isinstance(view.app.screen, ModalScreen)
            assert below or seen[title] == text, f"{theme} says something else than other themes"
            _is_whole(text, picture, f"{theme} {name}")
            _is_legible(view, f"{picture.name} {theme} {name}")
    if seen.get("ansi 80x24") == seen["80x24"]:
        del seen["ansi 80x24"]
    if HOW == "write":
        _write(picture.name, seen)
    else:
        assert {title: seen.get(title, text) for title, text in kept.items()} == kept


async def _settled(view: View, expected: str) -> str:
    """The text, as soon as it is the expected one; what is worked out in a thread comes a little later."""
    if not expected:
        return await view.still()
    for _ in range(LOOKS):
        if view.text == expected:
            break
        await view.draw()
    return view.text


def _is_whole(text: str, picture: Picture, where: str) -> None:
    """No number is cut, and what this screen is for is there."""
    cut = [row for row in text.splitlines() if CUT_NUMBER.search(row)]
    assert not cut, (where, cut)
    flat = " ".join(text.split())
    for word in picture.whole:
        assert " ".join(word.split()) in flat, f"{where}: {word} is not whole in\n{text}"


def _is_legible(view: View, where: str) -> None:
    """What is text can be told from its background."""
    faint = {
        f"{segment.text.strip()!r} {contrast(*colours):.1f}"
        for segment in _front(view)
        if segment.style is not None
        and any(char.isalnum() for char in segment.text)
        and (colours := _colours(segment))
        and contrast(*colours) < LEAST
    }
    assert not faint, (where, sorted(faint))


def _front(view: View) -> Iterator[Segment]:
    """What the front screen draws. Left out: the screen behind a dialog and keys that do nothing now, which
    are faint on purpose."""
    screen = view.app.screen
    strips = screen._compositor.render_strips()
    whole = [screen.region] if not isinstance(screen, ModalScreen) else [c.region for c in screen.children]
    idle = [widget.region for widget in screen.query("*") if widget.disabled or widget.has_class("-disabled")]
    for y, strip in enumerate(strips):
        for box in whole:
            if not box.y <= y < box.bottom:
                continue
            x = box.x
            for segment in strip.crop(box.x, box.right):
                if not any(one.contains(x, y) for one in idle):
                    yield segment
                x += segment.cell_length


def _colours(segment: Segment) -> tuple[Color, Color] | None:
    """Of text and background as they are shown; None for colours that only the terminal knows."""
    style = segment.style
    if style is None or style.color is None or style.bgcolor is None:
        return None
    pair = style.color, style.bgcolor
    if any(one.triplet is None for one in pair):
        return None
    fore, back = (Color.from_rich_color(RichColor.from_triplet(one.triplet)) for one in pair if one.triplet)
    return (back, fore) if style.reverse else (fore, back)


def _read(name: str) -> dict[str, str]:
    parts = re.split(r"^=== (.+)\n", (HERE / f"{name}.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {title: text.rstrip("\n") for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def _write(name: str, seen: dict[str, str]) -> None:
    text = "".join(f"=== {title}\n{text}\n" for title, text in seen.items())
    (HERE / f"{name}.txt").write_text(text, encoding="utf-8")
