"""The console's commands in the palette."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.screens.console import ConsoleScreen
from tui.widgets.devices import in_order

Command = tuple[str, str, Callable[[], object]]
"""Name, what it does, and the doing."""

REQUESTS = (
    ("launch", "Launch", "Launch the plan"),
    ("stop", "Stop run", "Stop the run and every worker of it"),
    ("new", "New conversation", "Start an empty conversation"),
    ("cancel", "End answer", "End the answer being written; what is there stays"),
)


class ClusterCommands(Provider):
    """What the keys do, the themes by name, and in a rehearsal the faults."""

    def _commands(self) -> Iterator[Command]:
        screen, app = self.screen, self.app
        if not isinstance(screen, ConsoleScreen):
            return
        desk = screen.desk
        for action, name, about in REQUESTS:
            reason = desk.why_not(action)
            yield name, f"Not now: {reason}" if reason else about, partial(screen.request, action)
        for theme in sorted(app.available_themes):
            yield f"Theme: {theme}", "Change the colours", partial(setattr, app, "theme", theme)
        for kind in desk.intents.faults if desk.intents else ():
            for device in in_order(desk.state):
                target = (
                    f"rank on {device.name}"
                    if kind in ("kill", "freeze", "thaw")
                    else f"links of {device.name}"
                )
                inject = partial(desk.intents.inject, kind, device.id) if desk.intents else None
                if inject is not None:
                    yield f"Fault: {kind} {target}", "Break this rehearsal on purpose", inject

    async def discover(self) -> Hits:
        """Everything, before a letter is typed."""
        for name, about, run in self._commands():
            yield DiscoveryHit(name, run, help=about)

    async def search(self, query: str) -> Hits:
        """What matches."""
        matcher = self.matcher(query)
        for name, about, run in self._commands():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, help=about)
