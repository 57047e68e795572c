"""All keys of a screen, by where they work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen

from tui import keymap
from tui.actions import Group
from tui.widgets.keybar import KeyLine
from tui.widgets.rows import Rows
from tui.widgets.scroller import Scroller


def help_rows(groups: Sequence[Group], width: int) -> list[Content]:
    """A section for each place, a line or more for each binding: keys, what it does, id."""
    keys = max((len(action.keys) for group in groups for action in group.actions), default=0)
    rows: list[Content] = []
    for group in groups:
        rows += [Content.styled(group.title, "bold $text-accent")]
        for action in group.actions:
            tone = "" if action.enabled else "$muted"
            told = Content.assemble((action.about, tone), (f"  {action.id}", "$muted"))
            first, *rest = told.wrap(max(20, width - keys - 4))
            rows.append(Content.styled(f"  {action.keys:<{keys}}  ", f"bold {tone}") + first)
            rows += [Content(" " * (keys + 4)) + row for row in rest]
        rows.append(Content(""))
    return rows[:-1]


class Keys(Rows):
    """The list, broken into lines for the width there is."""

    def __init__(self, groups: Sequence[Group]) -> None:
        super().__init__()
        self._groups = groups

    def on_resize(self) -> None:
        """Break it anew."""
        self.show(help_rows(self._groups, self.size.width))


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
            dialog.border_subtitle = "keys.toml: the grey name = a key of yours"
            yield Keys(self._groups)
            yield KeyLine("esc closes")
