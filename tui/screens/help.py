"""All keys of a screen, by where they work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content

from tui import keymap
from tui.actions import Action, Group
from tui.screens.closing import Dialog
from tui.widgets.keybar import KeyLine
from tui.widgets.rows import Rows
from tui.widgets.scroller import Scroller


def help_rows(groups: Sequence[Group], width: int) -> list[tuple[str | None, Content]]:
    """A section for each place, a line or more for each binding, with its id: keys, what it does, id."""
    keys = max((len(action.keys) for group in groups for action in group.actions), default=0)
    rows: list[tuple[str | None, Content]] = []
    for group in groups:
        rows += [(None, Content.styled(group.title, "bold $text-accent"))]
        for action in group.actions:
            tone = "" if action.enabled else "$muted"
            told = Content.assemble((action.about, tone), (f"  {action.id}", "$muted"))
            first, *rest = told.wrap(max(20, width - keys - 4))
            head = Content.styled(f"  {action.keys:<{keys}}  ", f"bold {tone}")
            rows.append((action.id, head + first))
            rows += [(action.id, Content(" " * (keys + 4)) + row) for row in rest]
        rows.append((None, Content("")))
    return rows[:-1]


class Keys(Rows):
    """The list, broken into lines for the width there is."""

    def __init__(self, groups: Sequence[Group]) -> None:
        super().__init__()
        self._groups = groups

    def on_resize(self) -> None:
        """Break it anew."""
        made = help_rows(self._groups, self.size.width)
        self.keys = [key for key, _ in made]
        self.show([row for _, row in made])


class HelpScreen(Dialog[Action | None]):
    """The keys of the screen it was opened from. Gives the action that was clicked: whoever has no keyboard
    reaches everything here."""

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

    def on_rows_pointed(self, message: Rows.Pointed) -> None:
        """A click does what the key would."""
        actions = (action for group in self._groups for action in group.actions)
        self.dismiss(next(action for action in actions if action.id == message.key))
