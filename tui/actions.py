"""What can be done on a screen, gathered from its bindings: help, palette and `:` show the same things."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from textual.actions import parse
from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget

from tui.host import app_of
from tui.keymap import key_names
from tui.widgets.scroller import Scroller


@runtime_checkable
class Explains(Protocol):
    """A screen that knows why an action of it is not possible now."""

    def why_not(self, action: str, parameters: tuple[object, ...] = ()) -> str | None:
        """The reason, None where there is none."""
        ...


@dataclass(frozen=True)
class Action:
    """One binding, where it works."""

    binding: Binding
    keys: str
    """As printed on them, after the user's keymap."""
    node: DOMNode
    enabled: bool
    reason: str = ""
    """Why it is not possible now, as far as the screen knows."""

    @property
    def id(self) -> str:
        """The binding's id, which is also its name on the command line."""
        return self.binding.id or ""

    @property
    def about(self) -> str:
        """What it does."""
        return self.binding.tooltip or self.binding.description

    async def run(self) -> None:
        """Do it as its key would, where its key works, or say why not."""
        app = app_of(self.node)
        if not self.enabled:
            app.notify(f"{self.binding.description}: {self.reason}", severity="warning", markup=False)
            return
        if isinstance(self.node, Widget):
            while app.screen is not self.node.screen:
                await app.pop_screen()
        await app.run_action(self.binding.action, self.node)


@dataclass(frozen=True)
class Group:
    """The actions of one widget, of the screen or of the whole console."""

    title: str
    actions: tuple[Action, ...]


def own_bindings(kind: type[DOMNode]) -> Iterator[Binding]:
    """Bindings that our classes declare for widgets of `kind`; those of Textual's have no ids."""
    for base in kind.__mro__:
        for binding in base.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id:
                yield binding


def title_of(node: DOMNode) -> str:
    """`Cluster` for a ClusterPane, `Chat log` for a ChatLog, `Text` for what only scrolls."""
    if isinstance(node, App):
        return "Everywhere"
    if isinstance(node, Scroller):
        return "Text"
    name = re.sub(r"(Pane|Screen|Widget|View)$", "", type(node).__name__)
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", name) or [name]
    return " ".join([words[0], *(word.lower() for word in words[1:])])


def gather(screen: Screen[Any], keymap: Mapping[str, str]) -> list[Group]:
    """What can be done: first by the screen, then by its widgets, then by the console everywhere."""
    nodes: list[DOMNode] = [screen]
    kinds: set[type[DOMNode]] = {type(screen)}
    for widget in screen.query("*"):
        if type(widget) not in kinds and widget.display:
            kinds.add(type(widget))
            nodes.append(widget)
    if not screen.is_modal:
        nodes.append(app_of(screen))
    groups: dict[str, Group] = {}
    for node in nodes:
        seen: dict[str, Action] = {}
        for binding in own_bindings(type(node)):
            action = _action(binding, node, screen, keymap)
            if action is not None:
                seen.setdefault(action.id, action)
        if seen:
            title = title_of(node)
            before = groups[title].actions if title in groups else ()
            groups[title] = Group(title, (*before, *seen.values()))
    return list(groups.values())


def _action(binding: Binding, node: DOMNode, screen: Screen[Any], keymap: Mapping[str, str]) -> Action | None:
    """The action of a binding, None where it can never be done on this screen as it is."""
    destination, name, parameters = parse(binding.action)
    target = {"screen": screen, "app": app_of(screen)}.get(destination, node)
    possible = target.check_action(name, parameters)
    if possible is False:
        return None
    keys = key_names(keymap.get(binding.id or "", binding.key))
    if possible:
        return Action(binding, keys, node, enabled=True)
    reason = screen.why_not(name, parameters) if isinstance(screen, Explains) else None
    return Action(binding, keys, node, enabled=False, reason=reason or "not possible now")
