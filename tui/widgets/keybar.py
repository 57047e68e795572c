"""What keys do here, each a click away: at the bottom of a screen, and in a dialog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import HorizontalGroup
from textual.content import Content
from textual.events import Click, MouseDown, Resize
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Static
from textual.widgets._footer import FooterKey, FooterLabel

from tui.host import app_of
from tui.keymap import key_named

_ALWAYS = ("help", "quit")
"""Actions whose keys stand at the right, however many others there are."""
_ROOMY = 100
"""Cells from which the palette's key does, too."""
_GAP = "   "


class KeyBar(Footer):
    """Textual's footer, but a key that has no room is left out, not cut, and some always have room."""

    DEFAULT_CSS = """
    KeyBar HorizontalGroup.always { dock: right; width: auto; padding-left: 1; background: $panel; }
    KeyBar HorizontalGroup.always FooterKey { margin: 0 0 0 1; }
    """

    _width = 0
    _said: tuple[object, ...] | None = None
    """The keys it was made of."""

    @dataclass
    class Refused(Message):
        """A dimmed key was clicked."""

        key: str

    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)

    def on_resize(self, event: Resize) -> None:
        """Which keys there are depends on the width."""
        if event.size.width != self._width:
            self._width = event.size.width
            self.call_after_refresh(self.recompose)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Made anew only for other keys: a click whose two halves meet two footers is none."""
        if not self._bindings_ready or self._said != self._told():
            super().bindings_changed(screen)  # pyright: ignore[reportUnknownMemberType]

    def _told(self) -> tuple[object, ...]:
        known = self.screen.active_bindings.values()
        return tuple((bound.binding, bound.enabled, bound.tooltip) for bound in known)

    def on_mouse_down(self, event: MouseDown) -> None:
        """Textual rings, and says no more."""
        widget, _ = self.screen.get_widget_at(event.screen_x, event.screen_y)
        if isinstance(widget, FooterKey) and widget.has_class("-disabled"):
            self.post_message(self.Refused(widget.key))

    def compose(self) -> ComposeResult:
        """The keys of the screen, as many as there is room for, then those that are always there."""
        self._said = self._told()
        always = list(self._always((*_ALWAYS, "command_palette") if self._width >= _ROOMY else _ALWAYS))
        room = self._width - 1 - sum(_cells(key) + 1 for key in always)
        for widget in super().compose():
            if isinstance(widget, FooterKey) and widget.action in _ALWAYS:
                continue
            room -= _cells(widget) + 1
            if room >= 0:
                yield widget
        with HorizontalGroup(classes="always"):
            yield from always

    def _always(self, actions: Sequence[str]) -> Iterator[FooterKey]:
        """A screen in which they do nothing has no such bindings."""
        known = {bound.binding.action: bound for bound in self.screen.active_bindings.values()}
        for action in actions:
            if (bound := known.get(action)) is not None:
                key, told = app_of(self).get_key_display(bound.binding), bound.binding.description
                yield FooterKey(
                    bound.binding.key, key, told, action, disabled=not bound.enabled, tooltip=bound.tooltip
                ).data_bind(compact=Footer.compact)


def _cells(widget: Widget) -> int:
    """What a key of the footer takes, drawn compactly."""
    if isinstance(widget, FooterKey):
        return len(widget.key_display) + (len(widget.description) + 1 if widget.description else -1)
    return len(str(widget.render())) if isinstance(widget, FooterLabel) else 0


class KeyLine(Static):
    """`y stop and quit   n stay`: a click on either is the key it begins with."""

    DEFAULT_CSS = "KeyLine { width: 1fr; height: auto; color: $text-accent; text-style: bold; }"

    def __init__(self, told: str) -> None:
        super().__init__(Content(told), markup=False)
        self._told = told

    def at(self, x: int) -> str | None:
        """The key that is told of at a column, by Textual's name."""
        begun = 0
        for part in self._told.split(_GAP):
            if begun <= x < begun + len(part):
                return key_named(part.split()[0])
            begun += len(part) + len(_GAP)
        return None

    async def on_click(self, event: Click) -> None:
        """Do what the key would."""
        event.stop()
        key = self.at(event.x) if event.y == 0 else None
        if key is None:
            return
        bound = self.screen.active_bindings.get(key)
        if bound is not None and bound.enabled:
            await app_of(self).run_action(bound.binding.action, bound.node)
        elif bound is None:
            app_of(self).simulate_key(key)
