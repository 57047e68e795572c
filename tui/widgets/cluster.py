"""The pane of devices, plan, run, requests and links, with one device, peer or request chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.geometry import Region
from textual.message import Message

from core.state import ClusterState
from tui import keymap
from tui.widgets.cables import Cables
from tui.widgets.devices import Devices, choices
from tui.widgets.filterbar import FilterBar, Filtered
from tui.widgets.links import Links
from tui.widgets.planstrip import PlanStrip
from tui.widgets.ranks import Ranks
from tui.widgets.requests import Requests, queue
from tui.widgets.rows import Rows, StateRows


class ClusterPane(VerticalScroll, Filtered):
    """Everything about the machines."""

    BORDER_TITLE = "1 Cluster"
    BINDINGS: ClassVar[list[BindingType]] = list(keymap.CLUSTER)

    _state: ClusterState = ClusterState()
    _chosen: str | None = None
    _by_hand: bool = False

    @dataclass
    class Chosen(Message):
        """Enter was pressed on a device or a peer."""

        key: str

    @dataclass
    class Ended(Message):
        """A request is to end."""

        request: str

    @dataclass
    class Provision(Message):
        """A device is to have a Python of its own, or to lose it."""

        device: str

    @dataclass
    class Moved(Message):
        """A request is to change its place in the queue."""

        request: str
        step: int

    def compose(self) -> ComposeResult:
        """What changes most while a run starts is nearest the top."""
        yield Devices()
        yield PlanStrip()
        yield Ranks()
        yield Requests()
        yield Links()
        yield Cables()
        yield FilterBar()

    def draw(self, state: ClusterState) -> None:
        """Show `state`; the choice is the first row until somebody makes one, and when that is gone."""
        self._state = state
        known = self._choices()
        if self._chosen not in known or not self._by_hand:
            # What a filter has found stays chosen without it.
            self._choose(known[0] if known else None, by_hand=bool(self.query_one(Devices).needle))
        for widget in self.query(StateRows):
            widget.draw(state)
        self.query_one(Requests).display = bool(queue(state) or state.api)
        self.query_one(Cables).display = bool(state.cables)

    def _choices(self) -> list[str]:
        return [
            *choices(self._state, self.query_one(Devices).needle),
            *(request.id for request in queue(self._state)),
        ]

    def _choose(self, key: str | None, *, by_hand: bool = True) -> None:
        self._chosen, self._by_hand = key, by_hand
        self.query_one(Devices).chosen = self.query_one(Requests).chosen = key

    def _redraw(self) -> None:
        self.query_one(Devices).redraw()
        self.query_one(Requests).redraw()

    def _follow(self) -> None:
        """Show the choice, and scroll to it."""
        self._redraw()
        for rows in (self.query_one(Devices), self.query_one(Requests)):
            if self._chosen in rows.keys:
                y = rows.virtual_region.y + rows.keys.index(self._chosen)
                region = Region(0, y, 1, rows.keys.count(self._chosen))
                self.scroll_to_region(region, spacing=rows.dock_gutter, animate=False)

    def narrow(self, needle: str) -> None:
        """Only devices, peers and links that match."""
        self.query_one(Devices).needle = self.query_one(Links).needle = needle
        self.draw(self._state)

    def on_rows_pointed(self, message: Rows.Pointed) -> None:
        """A click chooses; one on what is chosen already is enter."""
        message.stop()
        if message.key == self._chosen:
            self.action_enter()
        self._choose(message.key)
        self._redraw()

    def action_choose(self, step: int) -> None:
        """Move the choice; past either end the pane scrolls instead."""
        known = self._choices()
        at = known.index(self._chosen) + step if self._chosen in known else 0
        if 0 <= at < len(known):
            self._choose(known[at])
            self._follow()
        elif step > 0:
            self.scroll_down(animate=False)
        else:
            self.scroll_up(animate=False)

    def action_end_of(self, last: bool) -> None:
        """The first choice and the top, or the last one and the end."""
        known = self._choices()
        if known:
            self._choose(known[-1 if last else 0])
            self._redraw()
        if last:
            self.scroll_end(animate=False)
        else:
            self.scroll_home(animate=False)

    def action_enter(self) -> None:
        """Act on what is chosen."""
        if self._chosen is not None:
            self.post_message(self.Chosen(self._chosen))

    def action_provision(self) -> None:
        """Offer a Python to the chosen device."""
        if self._chosen is not None:
            self.post_message(self.Provision(self._chosen))

    def action_end(self) -> None:
        """End the chosen request."""
        if (request := self._request()) is not None:
            self.post_message(self.Ended(request))

    def action_move(self, step: int) -> None:
        """Move the chosen request within the queue."""
        if (request := self._request()) is not None:
            self.post_message(self.Moved(request, step))

    def _request(self) -> str | None:
        """The chosen request; says what to do where something else is chosen."""
        known = [request.id for request in queue(self._state)]
        if self._chosen in known:
            return self._chosen
        told = "Choose a request first: ↑ ↓ go there" if known else "No request is listed"
        self.notify(told, severity="warning", markup=False)
        return None
