"""The console: one screen on one bus."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import ClassVar, cast

from textual import work
from textual.app import App, SystemCommand
from textual.await_complete import AwaitComplete
from textual.binding import BindingType
from textual.driver import Driver
from textual.events import Event, Key, Paste
from textual.filter import LineFilter
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import Worker, WorkerState

from core.bus import Bus
from core.folders import config_folder
from core.intents import Intents, Playback
from tui import keymap, keysfile, themes
from tui.actions import Action, Group, gather
from tui.capable import plain
from tui.cli import UsageError
from tui.commandline import Command, find
from tui.commands import ClusterCommands
from tui.desk import Desk
from tui.plain import Ascii
from tui.screens.console import ConsoleScreen
from tui.screens.question import Question
from tui.screens.trust import TrustScreen
from tui.typeahead import Settled, TypeAhead

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
        encoding = sys.__stderr__.encoding if sys.__stderr__ is not None else None
        self._plain = [Ascii()] if plain(os.environ, encoding) else []
        super().__init__()
        self._ahead = TypeAhead(self._front, self.post_message, self.set_timer)
        self.title = title
        self.animation_level = "none"
        self.desk = Desk(bus, playback)
        self.keys, self._problems = keysfile.read(config_folder() / "keys.toml", keymap.groups())
        self._connect_to = connect
        self._leaving = False
        """It has been decided: another `q` must not interrupt what is being stopped."""
        self._problems += themes.install(self, config_folder())
        self.set_keymap(self.keys)

    def get_driver_class(self) -> type[Driver]:
        """Between the app and a real terminal stands a guard."""
        usual = super().get_driver_class()
        if usual.__name__ != "LinuxDriver":  # a test's, or a browser's
            return usual
        from tui.driver import GuardedDriver

        return GuardedDriver

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, for themes that do not name them."""
        ansi = ("blue", "yellow", "green", "magenta", "cyan", "red", "white", "gray")
        needed = {"muted": "gray", "ansi-background": "ansi_black", "ansi-foreground": "ansi_white"}
        return needed | {f"series-{i}": colour for i, colour in enumerate(ansi, 1)}

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's own, and ours where the terminal shows ASCII only."""
        return [*super().get_line_filters(), *self._plain]

    def get_default_screen(self) -> Screen[None]:
        """There is one main screen."""
        return ConsoleScreen(self.desk, self.title)

    async def on_event(self, event: Event) -> None:
        """Keys one after the other, each when what the one before began is there."""
        typed = isinstance(event, Key | Paste) and not event.is_forwarded
        if typed and self._ahead.holds(event):
            return
        await super().on_event(event)
        if typed:
            self._ahead.sent()

    def _front(self) -> MessagePump:
        """What gets a key now: the app itself, once it has no screens any more."""
        return (self.focused or self.screen) if self.screen_stack else self

    def pop_screen(self) -> AwaitComplete:
        """Close the screen on top; what it was doing ends first, as it writes on widgets that go now."""
        self.workers.cancel_node(self.screen)  # pyright: ignore[reportUnknownMemberType]
        return super().pop_screen()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The palette would take a question away without its answer."""
        return action != "command_palette" or not isinstance(self.screen, Question | TrustScreen)

    def on_settled(self, message: Settled) -> None:
        """A key is dealt with."""
        self._ahead.settled(message)

    def on_mount(self) -> None:
        """Say what could not be used, and play what is played."""
        for problem in self._problems:
            self.notify(problem, title="Not used", severity="warning", timeout=15, markup=False)
        if self.desk.playback is not None:
            self.run_worker(self.desk.playback.play(), name="play")

    def on_console_screen_painted(self) -> None:
        """Connect, which takes long to import."""
        if self._connect_to is not None:
            self._connect(self._connect_to)

    @work(name=_CONNECT, exit_on_error=False)
    async def _connect(self, connect: Connect) -> None:
        self.desk.intents = await connect()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Without a cluster there is nothing to show: leave with the reason."""
        worker = cast("Worker[object]", event.worker)  # pyright: ignore[reportUnknownMemberType]
        if worker.name == _CONNECT and event.state is WorkerState.ERROR:
            error = worker.error
            code = 2 if isinstance(error, UsageError) else 1
            self.exit(return_code=code, message=str(error) or type(error).__name__)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """None of Textual's: ours are made from the bindings."""
        return ()

    def gathered(self) -> list[Group]:
        """What can be done here; on another screen than the console, what the console's keys do as well."""
        front = next(screen for screen in reversed(self.screen_stack) if not screen.is_modal)
        groups = gather(front, self.keys)
        if front is not self.console_screen:
            # Only what the screen itself can do: its panes are not there to be used.
            groups += gather(self.console_screen, self.keys)[:1]
        return groups

    @property
    def console_screen(self) -> ConsoleScreen:
        """The main screen, under all others."""
        return cast(ConsoleScreen, self.screen_stack[0])

    @work(group="help", exclusive=True)
    async def action_help(self) -> None:
        """Show the keys; one that is clicked does its job."""
        from tui.screens.help import HelpScreen

        action = await self.push_screen_wait(HelpScreen(gather(self.screen, self.keys)))
        if action is not None:
            await action.run()

    async def action_pane(self, name: str) -> None:
        """A pane of the console, from wherever one is."""
        while self.screen is not self.console_screen:
            await self.pop_screen()
        self.console_screen.action_pane(name)

    def action_map(self) -> None:
        """The cluster as a graph."""
        from tui.screens.map import MapScreen

        if not isinstance(self.screen, MapScreen):
            self.push_screen(MapScreen(self.desk))

    def action_jump(self) -> None:
        """Letters on everything that can have the focus."""
        from tui.screens.jump import JumpScreen

        targets = [widget for widget in self.screen.focus_chain if widget.region]
        self.push_screen(JumpScreen(targets), self._jumped)

    def _jumped(self, target: Widget | None) -> None:
        if target is not None:
            target.focus()

    def action_themes(self) -> None:
        """Choose a theme by looking at it."""
        from tui.screens.themes import ThemeScreen

        self.push_screen(ThemeScreen(sorted(self.available_themes), self.theme), self._themed)

    def _themed(self, name: str | None) -> None:
        if name is not None:
            self.set_theme(name)

    def set_theme(self, name: str) -> None:
        """Use a theme from now on, also the next time."""
        self.theme = name
        try:
            themes.remember(config_folder(), name)
        except OSError as error:
            self.notify(f"The theme is not remembered: {error}", severity="warning", markup=False)

    def commands(self) -> Iterator[Command]:
        """What can be typed after `:`."""
        for group in self.gathered():
            for action in group.actions:
                if action.id == "theme":
                    yield Command(
                        "theme", action.about, self._theme_command, tuple(sorted(self.available_themes))
                    )
                else:
                    yield Command(action.id, action.about, partial(_run, action))

    async def _theme_command(self, name: str) -> None:
        if name:
            self.set_theme(name)
        else:
            self.action_themes()

    @work(group="line", exclusive=True)
    async def action_command_line(self) -> None:
        """Type a command."""
        from tui.screens.commandline import CommandLine

        commands = list(self.commands())
        typed = await self.push_screen_wait(CommandLine(commands))
        if not typed:
            return
        found = find(commands, typed)
        if isinstance(found, str):
            self.notify(found, severity="warning", markup=False)
        else:
            command, argument = found
            await command.run(argument)

    async def action_quit(self) -> None:
        """Quit; with a run live only after a yes."""
        if not isinstance(self.screen, Question) and not self._leaving:
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
        self._leaving = True
        if self.desk.intents is not None:
            self.notify("Stopping what was started…", timeout=60)
            await self.desk.intents.close()
        self.exit()


async def _run(action: Action, _argument: str) -> None:
    await action.run()
