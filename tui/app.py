"""The console: one screen on one bus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import ClassVar, cast

from textual import work
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from core.bus import Bus
from core.intents import Intents, Playback
from tui import keymap, themes
from tui.commands import ClusterCommands
from tui.desk import Desk
from tui.screens.console import ConsoleScreen
from tui.screens.help import HelpScreen
from tui.screens.question import Question

Connect = Callable[[], Awaitable[Intents]]

_CONNECT = "connect"


class ConsoleApp(App[None]):
    """Shows what the bus folds. `connect` is awaited after the first paint: heavy imports belong there.

    Quitting with `q` closes the intents. Whoever runs the app closes them too, for the ends it cannot
    see: `desk.intents` holds them, and closing twice must do no harm.
    """

    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = list(keymap.APP)
    COMMANDS = App.COMMANDS | {ClusterCommands}

    def __init__(
        self,
        bus: Bus,
        connect: Connect | None = None,
        playback: Playback | None = None,
        title: str = "exo-tui",
    ) -> None:
        super().__init__()
        self.title = title
        self.animation_level = "none"
        self.desk = Desk(bus, playback)
        self._connect_to = connect
        self._theme_problems = themes.install(self, themes.folder())

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, for themes that do not name them."""
        ansi = ("blue", "yellow", "green", "magenta", "cyan", "red", "white", "gray")
        return {"muted": "gray"} | {f"series-{i}": colour for i, colour in enumerate(ansi, 1)}

    def get_default_screen(self) -> Screen[None]:
        """There is one main screen."""
        return ConsoleScreen(self.desk, self.title)

    def on_mount(self) -> None:
        """Connect once the first picture is out."""
        for problem in self._theme_problems:
            self.notify(problem, title="Theme not loaded", severity="warning", markup=False)
        if self.desk.playback is not None:
            self.run_worker(self.desk.playback.play(), name="play")
        if self._connect_to is not None:
            self.call_after_refresh(self._connect, self._connect_to)

    @work(name=_CONNECT, exit_on_error=False)
    async def _connect(self, connect: Connect) -> None:
        self.desk.intents = await connect()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Without a cluster there is nothing to show: leave with the reason."""
        worker = cast("Worker[object]", event.worker)  # pyright: ignore[reportUnknownMemberType]
        if worker.name == _CONNECT and event.state is WorkerState.ERROR:
            error = worker.error
            self.exit(return_code=1, message=str(error) or type(error).__name__)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Keys and quit; themes are listed by name instead of in a palette of their own."""
        yield SystemCommand("Keys", "What each key does", self.action_help)
        yield SystemCommand("Quit", "Quit; asks when a run is live", self.action_quit)

    def action_help(self) -> None:
        """Show the keys."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())

    async def action_quit(self) -> None:
        """Quit; with a run live only after a yes."""
        if not isinstance(self.screen, Question):
            self._leave()

    @work(group="leave", exclusive=True)
    async def _leave(self) -> None:
        run = self.desk.state.run
        if self.desk.live_run and run is not None:
            count = len({rank.device for rank in run.ranks})
            where = "1 device" if count == 1 else f"{count} devices"
            text = f"A run is live on {where}. Stop it and quit?"
            if not await self.push_screen_wait(Question(text, "y stop and quit   n stay")):
                return
        if self.desk.intents is not None:
            self.notify("Stopping what was started…", timeout=60)
            await self.desk.intents.close()
        self.exit()
