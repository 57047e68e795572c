"""Screens that close once: both halves of a double click may come in one packet."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen

Result = TypeVar("Result")


class Closing(Screen[Result]):
    """A screen over the main one."""

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close it, if it is on top: Textual would close what is below in its stead."""
        return super().dismiss(result) if self.is_active else AwaitComplete.nothing()


class Dialog(ModalScreen[Result], Closing[Result]):
    """One that leaves what is below in sight. Textual takes the CSS of the first base."""
