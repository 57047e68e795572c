"""All keys of a screen, by where they work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui import keymap
from tui.actions import Group
from tui.widgets.scroller import Scroller


def help_text(groups: Sequence[Group]) -> Content:
    """A section for each place, a line for each binding: keys, id, what it does."""
    width = max((len(action.keys) for group in groups for action in group.actions), default=0)
    sections: list[Content] = []
    for group in groups:
        rows = [Content.styled(group.title, "bold $text-accent")]
        for action in group.actions:
            tone = "" if action.enabled else "$muted"
            rows.append(
                Content.assemble(
                    (f"  {action.keys:<{width}}  ", f"bold {tone}"),
                    (action.about, tone),
                    (f"  {action.id}", "$muted"),
                )
            )
        sections.append(Content("\n").join(rows))
    return Content("\n\n").join(sections)


class HelpScreen(ModalScreen[None]):
    """The keys of the screen it was opened from."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.DIALOG, *keymap.HELP]

    def __init__(self, groups: Sequence[Group]) -> None:
        super().__init__()
        self._groups = groups

    def compose(self) -> ComposeResult:
        """The list, which scrolls where it must."""
        with Scroller(classes="dialog tall") as dialog:
            dialog.border_title = "Keys"
            dialog.border_subtitle = "keys.toml: the grey name = a key of yours · esc closes"
            yield Static(help_text(self._groups), markup=False)
