"""The pane of devices, plan, run and links, with one device or peer chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.message import Message

from core.state import ClusterState
from tui import keymap
from tui.widgets.devices import Devices, choices
from tui.widgets.links import Links
from tui.widgets.planstrip import PlanStrip
from tui.widgets.ranks import Ranks


class ClusterPane(VerticalScroll):
    """Everything about the machines."""

    BORDER_TITLE = "1 Cluster"
    BINDINGS: ClassVar[list[BindingType]] = list(keymap.CLUSTER)

    _state: ClusterState = ClusterState()

    @dataclass
    class Chosen(Message):
        """Enter was pressed on a device or a peer."""

        key: str

    def compose(self) -> ComposeResult:
        """What changes most while a run starts is nearest the top."""
        yield Devices()
        yield PlanStrip()
        yield Ranks()
        yield Links()

    def draw(self, state: ClusterState) -> None:
        """Show `state`; the choice moves to the first row when what was chosen is gone."""
        self._state = state
        devices = self.query_one(Devices)
        known = choices(state)
        if devices.chosen not in known:
            devices.chosen = known[0] if known else None
        devices.draw(state)
        self.query_one(PlanStrip).draw(state)
        self.query_one(Ranks).draw(state)
        self.query_one(Links).draw(state)

    def action_choose(self, step: int) -> None:
        """Move the choice; past either end the pane scrolls instead."""
        devices, known = self.query_one(Devices), choices(self._state)
        at = known.index(devices.chosen) + step if devices.chosen in known else 0
        if 0 <= at < len(known):
            devices.chosen = known[at]
            devices.redraw()
        elif step > 0:
            self.scroll_down(animate=False)
        else:
            self.scroll_up(animate=False)

    def action_enter(self) -> None:
        """Act on what is chosen."""
        chosen = self.query_one(Devices).chosen
        if chosen is not None:
            self.post_message(self.Chosen(chosen))
