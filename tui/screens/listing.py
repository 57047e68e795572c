"""A list to search and to pick from, in a dialog: conversations, models and plans are such lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from tui.screens.closing import Dialog
from tui.widgets.keybar import KeyLine
from tui.widgets.picklist import Picklist

Result = TypeVar("Result")


class ListScreen(Dialog[Result | None]):
    """A subclass says in `show` what there is; None is the result when the list is left."""

    HEADING: ClassVar[str]
    SEARCH: ClassVar[str] = "/ searches"
    KEYS: ClassVar[str]
    WAIT: ClassVar[str] = "reading…"

    def compose(self) -> ComposeResult:
        """Search, list, what is to be said of the chosen one, keys."""
        with Vertical(classes="dialog list") as dialog:
            dialog.border_title = self.HEADING
            yield Input(placeholder=self.SEARCH, id="search", compact=True)
            yield Picklist(id="picks")
            yield Static(self.WAIT, id="none", markup=False)
            yield from self.details()
            yield KeyLine(self.KEYS)

    def details(self) -> Sequence[Widget]:
        """What stands below the list."""
        return ()

    def on_mount(self) -> None:
        """The list has the keys."""
        self.query_one(Input).cursor_blink = False
        self.picks.focus()

    @property
    def picks(self) -> Picklist:
        """The list."""
        return self.query_one(Picklist)

    @property
    def words(self) -> list[str]:
        """What is searched for, in small letters."""
        return self.query_one(Input).value.casefold().split()

    def show(self) -> None:
        """Show what there is, or `nothing`."""
        raise NotImplementedError

    def say_nothing(self, text: str) -> None:
        """Say why the list is empty; nothing where it is not."""
        none = self.query_one("#none", Static)
        none.update(Content(text))
        none.display = bool(text)
        self.picks.set_class(bool(text), "-empty")  # not hidden: it has the keys

    def on_picklist_resized(self) -> None:
        """Rows are made for a width."""
        self.show()

    def on_input_changed(self) -> None:
        """Search while it is typed."""
        self.show()

    def on_input_submitted(self) -> None:
        """The keys go back to the list."""
        self.picks.focus()

    def action_search(self) -> None:
        """Type what to look for."""
        self.query_one(Input).focus()

    def action_leave(self) -> None:
        """The search first, then the list."""
        search = self.query_one(Input)
        if search.value:
            search.value = ""
        elif not search.has_focus:
            self.dismiss(None)
        self.picks.focus()
