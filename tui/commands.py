"""The console's commands in the palette."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.desk import Desk
from tui.widgets.devices import in_order

if TYPE_CHECKING:
    from tui.app import ConsoleApp

Command = tuple[str, str, Callable[[], object]]
"""Name, what it does, and the doing."""


class ClusterCommands(Provider):
    """What the keys do, the themes by name, and in a rehearsal the faults."""

    def _commands(self) -> Iterator[Command]:
        app = cast("ConsoleApp", self.app)
        for group in app.gathered():
            for action in group.actions:
                about = action.about if action.enabled else f"Not now: {action.reason}"
                yield action.binding.description, f"{about} · {action.keys}", action.run
        for theme in sorted(app.available_themes):
            yield f"Theme: {theme}", "Change the colours", partial(app.set_theme, theme)
        yield from _faults(app.desk)

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


def _faults(desk: Desk) -> Iterator[Command]:
    intents = desk.intents
    for kind in intents.faults if intents else ():
        for device in in_order(desk.state):
            rank = kind in ("kill", "freeze", "thaw", "slow")
            target = f"rank on {device.name}" if rank else f"links of {device.name}"
            if intents is not None:
                inject = partial(intents.inject, kind, device.id)
                yield f"Fault: {kind} {target}", "Break this rehearsal on purpose", inject
