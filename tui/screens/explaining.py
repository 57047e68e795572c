"""A screen that says why a key does nothing now, pressed or clicked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.actions import parse
from textual.events import Key

from tui.screens.closing import Closing
from tui.widgets.keybar import KeyBar


class Explaining(Closing[None]):
    """Its `check_action` dims a key or leaves it out; its `why_not` knows the reason, where there is one."""

    VERBS: ClassVar[Mapping[str, str]] = {}
    """What actions do, where their names are no verbs."""

    def why_not(self, action: str, parameters: tuple[object, ...] = ()) -> str | None:
        """The reason an action of this screen is not possible now, None where there is none."""
        raise NotImplementedError

    def say_not(self, action: str, reason: str) -> None:
        """Tell why something cannot be done now."""
        self.notify(f"Cannot {self.VERBS.get(action, action)}: {reason}", severity="warning", markup=False)

    def on_key(self, event: Key) -> None:
        """A key whose action is not possible now says why."""
        self._explain(event.key)

    def on_key_bar_refused(self, message: KeyBar.Refused) -> None:
        """So does a dimmed key that is clicked."""
        message.stop()
        self._explain(message.key)

    def _explain(self, key: str) -> None:
        known = self.active_bindings.get(key)
        if known is not None and (known.node is not self or known.enabled):
            return
        for binding in self._bindings.key_to_bindings.get(key, ()):
            _, action, parameters = parse(binding.action)
            # Left out or dimmed, it does nothing, and says why.
            if not self.check_action(action, parameters) and (reason := self.why_not(action, parameters)):
                self.say_not(action, reason)
                return
