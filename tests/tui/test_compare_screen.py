"""Recordings side by side: which, what differs, and what came of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.tui import scenes
from tests.tui.conftest import NARROW, WIDE, Open
from tests.unit.benches import Made, plan


@pytest.fixture
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXO_TUI_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "sessions"
    folder.mkdir()
    return folder


async def test_two_recordings_are_marked_and_compared_at_any_size(sessions: Path, console: Open) -> None:
    old = Made(seed=1, plans={"auto": (plan(), 0.1)}).recorded(sessions / "old.exo")
    slower = Made(seed=2, plans={"auto": (plan((2, 2)), 0.15)}, chip="Apple M1")
    slower.recorded(sessions / "new.exo")
    os.utime(old, (0, 0))
    for size in (NARROW, WIDE):
        async with console(scenes.planned(), size) as desk:
            await desk.press("B", "c")
            await desk.sees("new.exo")
            assert desk.text.index("new.exo") < desk.text.index("old.exo")
            await desk.press("G", "space", "g", "space")
            assert re.search(r"1st +old\.exo", desk.text), desk.text
            await desk.press("enter")
            await desk.sees("new.exo against old.exo")
            told = desk.text.split("against", 1)[1]
            order = [told.index(word) for word in ("Apple M1", "plan ", "a 2 / b 2", "↓ slower")]
            assert order == sorted(order), desk.text
            for word in ("99 % interval", "over repeats", "decode"):
                assert word in desk.text, desk.text
            await desk.press("s")
            await desk.sees("old.exo against new.exo")
            await desk.press("escape")
            assert "quick" in desk.text


async def test_the_plans_of_one_recording_are_compared_with_its_first(sessions: Path, console: Open) -> None:
    plans = {"auto": (plan(), 0.1), "even": (plan((2, 2)), 0.15)}
    Made(plans=plans).recorded(sessions / "one.exo")
    async with console(scenes.planned(), WIDE) as desk:
        await desk.press("B", "c", "enter")
        await desk.sees("even against auto")
        assert "↓ slower" in desk.text


async def test_what_cannot_be_compared_says_why(sessions: Path, console: Open) -> None:
    Made().recorded(sessions / "one.exo")
    elsewhere = sessions.parent / "other.exo"
    async with console(scenes.planned(), NARROW) as desk:
        await desk.press("B", "c", "enter")
        await desk.sees("mark a second recording")
        await desk.press("escape", "c", "a", *elsewhere.name, "enter")
        await desk.sees("cannot be read")
        elsewhere.write_text("no recording")
        await desk.press("a", *elsewhere.name, "enter", "enter")
        await desk.sees("is not an exo-tui recording")
