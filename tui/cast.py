"""A recording as an asciicast: what the console shows of it, for any player of asciinema's.

Format 2, https://docs.asciinema.org/manual/asciicast/v2/: a header, then `[seconds, "o", output]` a line, and
`[seconds, "m", label]` for each mark.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator

from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot

from core.bus import Bus
from core.session.format import Recording
from core.session.replay import Player
from tui.app import ConsoleApp
from tui.screens.console import ConsoleScreen
from tui.widgets import plot
from tui.widgets.log import LogRows

STEP_S = 0.5
"""From one picture to the next: the console itself paints no faster, but for the chat."""


class _Terminal(HeadlessDriver):
    """A terminal of which only the output is wanted."""

    written: list[str]

    @property
    def is_headless(self) -> bool:
        """Headless apps paint nothing."""
        return False

    def start_application_mode(self) -> None:
        """As a terminal that has just been cleared."""
        self.written = ["\x1b[?25l\x1b[2J"]
        super().start_application_mode()

    def write(self, data: str) -> None:
        """Keep what would be shown."""
        self.written.append(data)


class _Film:
    """The console's output, picture by picture."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self.frames: list[tuple[float, str]] = []

    async def shoot(self, pilot: Pilot[object]) -> None:
        """Show every half second of the recording, then leave."""
        app, player = pilot.app, self._player
        driver, screen = app._driver, app.screen  # pyright: ignore[reportPrivateUsage]
        assert isinstance(driver, _Terminal) and isinstance(screen, ConsoleScreen)
        await asyncio.to_thread(plot.load)
        while not screen.query(LogRows):  # composed last, once the terminal has said how large it is
            await pilot.pause(0.02)
        for i in range(math.floor(player.duration / STEP_S) + 2):
            moment = min(i * STEP_S, player.duration)
            player.seek(moment)
            await screen.paint()
            screen.paint_plots()
            await pilot.pause()
            if driver.written:
                self.frames.append((moment, "".join(driver.written)))
                driver.written.clear()
        app.exit()


async def cast(recording: Recording, title: str, size: tuple[int, int]) -> Iterator[str]:
    """The lines of the asciicast of a recording on a terminal of `size` columns and rows."""
    bus = Bus()
    player = Player(recording, bus)
    player.paused = True
    app = ConsoleApp(bus, playback=player, title=title)
    app.driver_class = _Terminal
    film = _Film(player)
    await app.run_async(size=size, auto_pilot=film.shoot, mouse=False)
    return _lines(film, player, recording.header.started, title, size)


def _lines(film: _Film, player: Player, started: float, title: str, size: tuple[int, int]) -> Iterator[str]:
    header = {
        "version": 2,
        "width": size[0],
        "height": size[1],
        "timestamp": int(started),
        "title": title,
        "env": {"TERM": "xterm-256color"},
    }
    yield json.dumps(header)
    events = [(moment, "o", output) for moment, output in film.frames]
    events += [(mark.elapsed, "m", mark.text) for mark in player.marks]
    for moment, kind, text in sorted(events, key=lambda event: event[0]):
        yield json.dumps([round(moment, 3), kind, text], ensure_ascii=False)
