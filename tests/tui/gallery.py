"""Every screen of the console on made-up clusters: what the snapshots show, and how to look at it.

`python -m tests.tui.gallery FOLDER [NAME…]` draws them as SVG, in three sizes and three themes.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from textual.app import App
from textual.pilot import Pilot
from textual.screen import ModalScreen

from core import events as ev
from core.bus import Bus
from core.conversations.summary import Summary
from core.folders import sessions_folder
from core.shelf import Shelf
from tests.tui import boards, clusters, scenes
from tests.unit.benches import Made, plan
from tui.app import ConsoleApp

SIZES = ((80, 24), (120, 40), (200, 60))
THEMES = ("dark", "light", "ansi")
NOW = scenes.T0 + 300
LOOKS = 200


@dataclass(frozen=True)
class Picture:
    """A screen: the cluster it shows, the keys that lead to it, and what must be seen whole at every size."""

    name: str
    events: Callable[[], list[ev.AnyEvent]]
    keys: str = ""
    """Separated by blanks, as Textual calls them; `'text` is typed."""
    whole: tuple[str, ...] = ()
    intents: Callable[[], scenes.FakeIntents] = scenes.FakeIntents
    replay: bool = False


def _shelf() -> boards.Keeping:
    """One plan was kept."""
    intents = boards.Keeping()
    shelf = Shelf(Path(os.environ["EXO_TUI_CONFIG"]) / "plans")
    shelf.save("even", scenes.plan((10, 10, 10)))
    intents.shelf = shelf
    return intents


def _talks() -> scenes.FakeIntents:
    intents = scenes.FakeIntents()
    intents.conversations.summaries = [
        Summary("c1", "How does a pipeline split a model?", NOW - 60, 2, ""),
        Summary("aa", "A trip to Paris, from Monday the 3rd to Friday the 14th, by train", NOW - 4e5, 13, ""),
        Summary("bb", "Layers", NOW - 4e7, 1, ""),
    ]
    return intents


def _question() -> list[ev.AnyEvent]:
    lost = "rank 1 on demo-b was killed (SIGKILL) in decode. Go on without it, with 18 / 12 layers?"
    return [*scenes.everything(), ev.RecoveryChanged(t=NOW, stage="asked", text=lost)]


def _sessions(*made: Made) -> scenes.FakeIntents:
    """Recordings: of fixed size where nobody opens them, else of what was measured."""
    folder = sessions_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for days, (name, one) in enumerate(
        zip(("new", "old", "thunderbolt"), [*made, None, None, None], strict=False)
    ):
        path = folder / f"{name}.exo"
        if one is None:
            path.write_bytes(b"\0" * 48_000)
        else:
            path.unlink(missing_ok=True)
            one.recorded(path)
        os.utime(path, (NOW - days * 86400 - 90, NOW - days * 86400 - 90))
    return scenes.FakeIntents()


def _compared() -> scenes.FakeIntents:
    """The second is slower, on another chip and with another split."""
    slower = Made(seed=2, plans={"auto": (plan((2, 2)), 0.15)}, chip="Apple M1")
    return _sessions(slower, Made(seed=1, plans={"auto": (plan(), 0.1)}))


MEMORY = ("0.61/2.00 GiB", "0.70/1.50 GiB", "0.79/1.00 GiB")
PICTURES = (
    Picture("empty", list, whole=("none yet", "no plan yet: M shows the models")),
    Picture("alone", clusters.alone, whole=("only one",)),
    Picture(
        "troubled", clusters.troubled, "escape", ("mlx: is not installed", "its host key is new", "P in the")
    ),
    Picture("cluster", scenes.everything, "1", ("context 4096", "30 layers", "12–21")),
    Picture("many", clusters.many, "1", ("node-00",)),
    Picture("chat", scenes.everything, "2", ("12.3 tok/s · TTFT 0.41 s", "/4096")),
    Picture("chat-long", clusters.long_answer, "2", ("123.4 tok/s", "131000/4096")),
    Picture("compose", scenes.everything, "2 i 'Why?2", ("Why?2",)),
    Picture("plots", scenes.everything, "3", ("Memory GiB",)),
    Picture("plot", scenes.everything, "3 enter", ("Memory GiB",)),
    Picture("log", scenes.everything, "4", ("memory is 92 %",)),
    Picture("map", clusters.joined, "5", ("310 µs", "9.4 ms")),
    Picture("map-table", clusters.many, "5", ("node-00",)),
    Picture("device", clusters.macs, "1 enter", ("M3 Ultra",)),
    Picture("board", scenes.planned, "b", ("context 4096",), boards.Keeping),
    Picture("board-eight", boards.eight, "b", ("context 4096",), boards.Keeping),
    Picture("board-hand", scenes.planned, "b ] ]", ("context 4096", "14 +2", "8 -2"), boards.Keeping),
    Picture("board-held", scenes.planned, "b G h h space down", ("layers 9–11",), boards.Keeping),
    Picture("board-empty", list, "b", ("No model is chosen",), boards.Keeping),
    Picture("plans", scenes.planned, "b o", ("Against the automatic",), _shelf),
    Picture("plan-name", scenes.planned, "b w 'fast", ("fast",), boards.Keeping),
    Picture("card", boards.eight, "b p", ("weights 50.7 GiB",), boards.Keeping),
    Picture("conversations", scenes.everything, "c", ("2 questions", "13 questions"), _talks),
    Picture("conversations-none", scenes.planned, "c", ("None yet",)),
    Picture("manner", scenes.everything, "o", ("temperature",)),
    Picture("models", scenes.planned, "M j", ("88 MiB", "80.0 GiB"), clusters.library),
    Picture("models-none", scenes.planned, "M", ("No model on this computer yet",)),
    Picture("models-add", scenes.planned, "M a", ("Add a folder",), clusters.library),
    Picture("doctor", clusters.two_macs, "D", ("sudo pmset -a sleep 0",)),
    Picture("doctor-well", scenes.planned, "D"),
    Picture("bench", scenes.planned, "B", ("quick",)),
    Picture("bench-live", clusters.being_measured, "B", ("decode tok/s",)),
    Picture("recordings-none", scenes.planned, "B c", ("No recording yet",)),
    Picture("recordings", scenes.planned, "B c j space", ("1st", "thunderbolt.exo"), _sessions),
    Picture(
        "compare",
        scenes.planned,
        "B c j space k space enter",
        ("new.exo against old.exo", "slower"),
        _compared,
    ),
    Picture(
        "peers", clusters.peers, "1", ("1 announced, 1 in your files", "another machine that calls itself so")
    ),
    Picture(
        "add", clusters.peers, "1 down enter", ("evil.local port 22", "ctrl+s writes it into config.toml too")
    ),
    Picture("help", scenes.planned, "question_mark", ("Launch the plan",)),
    Picture("palette", scenes.planned, "ctrl+p", ()),
    Picture("line", scenes.planned, "colon 'th", ("theme",)),
    Picture("jump", scenes.planned, "f"),
    Picture("themes", scenes.everything, "T", ("high-contrast",)),
    Picture("filter", clusters.many, "1 slash 'node-01", ("1 shown",)),
    Picture("trust", clusters.unknown_host, "", ("SHA256:abcDEF123", "port 22")),
    Picture("question", _question, "", ("18 / 12 layers", "y go on")),
    Picture("quit", scenes.everything, "q", ("3 devices",)),
    Picture("replay", scenes.everything, "comma", ("event ", "1:40"), replay=True),
)


@contextmanager
def still() -> Iterator[None]:
    """Stop the clock of the wall, and hang it in Greenwich."""
    real, zone = time.time, os.environ.get("TZ")
    time.time, os.environ["TZ"] = (lambda: NOW), "UTC"
    time.tzset()
    try:
        yield
    finally:
        time.time = real
        del os.environ["TZ"]
        if zone is not None:
            os.environ["TZ"] = zone
        time.tzset()


class View:
    """A picture that was opened, in any size and theme."""

    def __init__(self, pilot: Pilot[None], picture: Picture) -> None:
        self._pilot, self._picture = pilot, picture
        self.app: App[None] = pilot.app

    @property
    def text(self) -> str:
        """The screen as a terminal would show it, without the keys behind a dialog, made anew later."""
        strips = self.app.screen._compositor.render_strips()
        rows = self.app.size.height - isinstance(self.app.screen, ModalScreen)
        return "\n".join(strip.text.rstrip() for strip in strips[:rows]).rstrip()

    async def turn(self, size: tuple[int, int], theme: str) -> None:
        """Show it at this size and in this theme."""
        if self.app.theme != theme:
            self.app.theme = theme
        if self.app.size != size:
            await self._pilot.resize_terminal(*size)
        await self.draw()

    async def draw(self) -> None:
        """Draw now what the timers would draw next."""
        await self._pilot.pause()
        for node in (*self.app.screen_stack, *self.app.screen.query("MapPane")):
            for name in ("paint", "look", "paint_plots"):
                if (paint := getattr(node, name, None)) is not None and inspect.isawaitable(done := paint()):
                    await done
        await self._pilot.pause()

    async def still(self) -> str:
        """The text once drawing it again makes no difference, and nothing is worked out in a thread."""
        before = ""
        for _ in range(LOOKS):
            if (text := self.text) == before and not self._waits(text):
                return text
            before = text
            await self.draw()
        raise AssertionError(f"{self._picture.name} never stands still\n{before}")

    def _waits(self, text: str) -> bool:
        busy = any(getattr(getattr(s, "quotes", None), "busy", False) for s in self.app.screen_stack)
        first = self._picture.whole[:1]
        if first and " ".join(first[0].split()) not in " ".join(text.split()):
            return True
        return busy or any(word in text for word in ("comparing with", "looking…", "reading…", "Searching"))


@asynccontextmanager
async def opened(picture: Picture, theme: str = THEMES[0]) -> AsyncIterator[View]:
    """The console with this picture before one."""
    events = picture.events()
    bus = Bus(scenes.fold(events))
    asked = picture.intents()
    if isinstance(asked, boards.Keeping):
        asked.use(bus)

    async def connect() -> scenes.FakeIntents:
        return asked

    played = scenes.FakePlayback(bus, events) if picture.replay else None
    app = ConsoleApp(bus, None if played else connect, playback=played)
    app.theme = theme
    async with app.run_test(size=SIZES[0], notifications=True) as pilot:
        view = View(pilot, picture)
        await view.draw()
        bus.publish(ev.Tick(t=bus.state.now))  # what was drawn before the cluster was connected is stale
        await view.draw()
        for key in picture.keys.split():
            await pilot.press(*(key[1:] if key[0] == "'" else (key,)))
        await view.still()
        try:
            yield view
        finally:
            await asked.close()


async def _draw(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        if names and picture.name not in names:
            continue
        async with opened(picture) as view:
            for theme in THEMES:
                for size in SIZES:
                    await view.turn(size, theme)
                    await view.still()
                    file = folder / f"{picture.name}-{size[0]}-{theme}.svg"
                    file.write_text(view.app.export_screenshot(), encoding="utf-8")


if __name__ == "__main__":
    with TemporaryDirectory() as config, still():
        os.environ["EXO_TUI_CONFIG"] = os.environ["EXO_TUI_DATA"] = config
        asyncio.run(_draw(Path(sys.argv[1]), sys.argv[2:]))
