"""What keys do here, each a click away: at the bottom of a screen, and in a dialog."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, cast

from rich.cells import cell_len
from textual.binding import ActiveBinding, Binding
from textual.content import Content
from textual.events import Click, Leave, MouseMove
from textual.message import Message
from textual.screen import Screen
from textual.signal import Signal
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Static

from tui.host import app_of
from tui.keymap import key_named

_PALETTE = "command_palette"
_ALWAYS = ("help", "quit", _PALETTE)
"""Actions whose keys stand at the right, however many others there are."""
_ROOMY = 100
"""Cells from which the palette's key does, too."""
_GAP = "   "


@dataclass(frozen=True)
class Key:
    """A key by Textual's name, and what is shown of it."""

    name: str
    sign: str
    told: str
    action: str
    enabled: bool
    tooltip: str

    @property
    def cells(self) -> int:
        """What it takes."""
        return cell_len(self.sign) + (1 + cell_len(self.told) if self.told else 0)


Item = tuple[Key, ...]
"""Mostly one key; those of a group stand side by side and share the word behind the last."""


@dataclass(frozen=True)
class Keys:
    """Of a screen: as many of `items` as there is room for, then those that are always there."""

    items: tuple[Item, ...] = ()
    always: Item = ()

    def placed(self, width: int) -> list[tuple[int, Key]]:
        """Where each begins in a line of so many cells. What has no room is left out, with all behind it."""
        always = [key for key in self.always if key.action != _PALETTE or width >= _ROOMY]
        end = width - sum(key.cells + 1 for key in always)
        at = 0
        places: list[tuple[int, Key]] = []
        for item in self.items:
            if at + sum(key.cells for key in item) >= end:
                break
            for key in item:
                places.append((at, key))
                at += key.cells
            at += 1
        for key in always:
            places.append((end + 1, key))
            end += key.cells + 1
        return places


def gather(bound: Iterable[ActiveBinding], sign: Callable[[Binding], str]) -> Keys:
    """Those to show of what is bound; of several for one action, the first."""
    shown: dict[str, ActiveBinding] = {}
    always: dict[str, ActiveBinding] = {}
    for active in bound:
        if active.binding.action in _ALWAYS:
            always.setdefault(active.binding.action, active)
        elif active.binding.show:
            shown.setdefault(active.binding.action, active)

    def key(active: ActiveBinding, told: str | None = None) -> Key:
        binding = active.binding
        told = binding.description if told is None else told
        return Key(binding.key, sign(binding), told, binding.action, active.enabled, active.tooltip)

    items: list[Item] = []
    for group, members in groupby(shown.values(), lambda active: active.binding.group):
        if group is None:
            items += [(key(active),) for active in members]
        else:
            *others, last = members
            items.append((*(key(active, "") for active in others), key(last, group.description)))
    return Keys(tuple(items), tuple(key(always[action]) for action in _ALWAYS if action in always))


class KeyBar(Widget):
    """The keys of a screen, in a line. It is drawn, where Textual's footer mounts a widget for each key."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keybar--key", "keybar--told", "keybar--over"}
    DEFAULT_CSS = """
    KeyBar {
        dock: bottom; height: 1; background: $panel; color: $footer-foreground;
        .keybar--key { color: $footer-key-foreground; text-style: bold; }
        .keybar--told { color: $footer-description-foreground; }
        .keybar--over { background: $block-hover-background; }
        &.-over { pointer: pointer; }
    }
    """

    @dataclass
    class Refused(Message):
        """A dimmed key was clicked."""

        key: str

    def __init__(self) -> None:
        super().__init__()
        self._keys = Keys()
        self._over: Key | None = None

    def on_mount(self) -> None:
        """Draw other keys when there are others."""
        changed = cast("Signal[Screen[object]]", self.screen.bindings_updated_signal)  # pyright: ignore[reportUnknownMemberType]
        changed.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        # A terminal that loses the focus takes it from the widget that has it, and both come back.
        if screen is not self.screen or not app_of(self).app_focus:
            return
        keys = gather(screen.active_bindings.values(), app_of(self).get_key_display)
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def render(self) -> Content:
        """The line."""
        key_style, told_style, over = (
            self.get_visual_style(f"keybar--{part}", partial=True) for part in ("key", "told", "over")
        )
        parts: list[tuple[str, Style] | str] = []
        end = 0
        for at, key in self._keys.placed(self.size.width):
            more = over if key == self._over else Style()
            told = told_style + more if key.enabled else told_style + more + Style(dim=True)
            parts += [" " * (at - end), (key.sign, key_style + more if key.enabled else told)]
            if key.told:
                parts.append((f" {key.told}", told))
            end = at + key.cells
        return Content.assemble(*parts)

    def _at(self, x: int) -> Key | None:
        places = self._keys.placed(self.size.width)
        return next((key for at, key in places if at <= x < at + key.cells), None)

    def on_click(self, event: Click) -> None:
        """Press the key; a dimmed one says why it does nothing."""
        key = self._at(event.x)
        if key is not None and key.enabled:
            app_of(self).simulate_key(key.name)
        elif key is not None:
            self.post_message(self.Refused(key.name))

    def on_mouse_move(self, event: MouseMove) -> None:
        """Show which key a click would press, and what it does."""
        self._point(self._at(event.x))

    def on_leave(self, _event: Leave) -> None:
        """Show none."""
        self._point(None)

    def _point(self, key: Key | None) -> None:
        if key != self._over:
            self._over = key
            self.tooltip = (key.tooltip or None) if key is not None else None
            self.set_class(key is not None, "-over")
            self.refresh()


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
