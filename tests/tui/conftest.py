"""The console on a made-up cluster, without a terminal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core import events as ev
from core.bus import Bus
from core.intents import Playback
from tests.tui.scenes import FakeIntents, fold
from tui.app import ConsoleApp
from tui.screens.console import ConsoleScreen

LOOKS = 100
NARROW, WIDE = (80, 24), (200, 60)


class Desk:
    """The app under test, what it shows and what it asked for."""

    def __init__(self, pilot: Pilot[None], bus: Bus, intents: FakeIntents) -> None:
        self.pilot = pilot
        self.app = pilot.app
        self.bus = bus
        self.intents = intents

    async def settle(self) -> None:
        """Draw now what the timers would draw next."""
        await self.pilot.pause()
        for screen in self.app.screen_stack:
            if isinstance(screen, ConsoleScreen):
                await screen.paint()
                screen.paint_plots()
        await self.pilot.pause()

    async def sees(self, text: str) -> None:
        """Look so many times whether the screen shows `text`: a dialog comes a little after its cause."""
        for _ in range(LOOKS):
            if text in self.text:
                return
            await self.settle()
        raise AssertionError(f"{text!r} is not in\n{self.text}")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    @property
    def text(self) -> str:
        """The screen as a terminal would show it."""
        width, height = self.app.size
        lines = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.ljust(width) for strip in lines[:height])


@pytest.fixture(autouse=True)
def config_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the console keeps what a person chose: not where the person who runs the tests does."""
    folder = tmp_path / "config"
    monkeypatch.setenv("EXO_TUI_CONFIG", str(folder))
    monkeypatch.setenv("EXO_TUI_DATA", str(folder / "data"))
    return folder


Open = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def console() -> Open:
    @asynccontextmanager
    async def open_(
        events: list[ev.AnyEvent],
        size: tuple[int, int] = WIDE,
        intents: FakeIntents | None = None,
        playback: Callable[[Bus], Playback] | None = None,
    ) -> AsyncIterator[Desk]:
        bus = Bus(fold(events))
        asked = intents or FakeIntents()

        async def connect() -> FakeIntents:
            return asked

        played = playback(bus) if playback else None
        app = ConsoleApp(bus, None if played else connect, playback=played)
        async with app.run_test(size=size, notifications=True) as pilot:
            desk = Desk(pilot, bus, asked)
            await desk.settle()
            yield desk

    return open_
