"""What screens work with: the state to draw, whom to ask, and why asking may be pointless."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from core.bus import Bus
from core.intents import Intents, Playback, why_not_ask, why_not_bench, why_not_launch, why_not_measure
from core.state import ClusterState

if TYPE_CHECKING:
    from tui.table import Table

NO_MODEL = "no model is chosen; M shows those on this computer"


class Desk:
    """The console's side of a cluster, live or replayed."""

    def __init__(self, bus: Bus, playback: Playback | None) -> None:
        self.bus = bus
        self.playback = playback
        self.intents: Intents | None = None
        """None until the live cluster is connected, and in a replay for good."""

    @cached_property
    def table(self) -> Table:
        """The plan being edited; what was undone on it outlives the board's screen."""
        from tui.table import Table

        return Table()

    @property
    def state(self) -> ClusterState:
        """The newest state. States are immutable: the same object means nothing has changed."""
        return self.bus.state

    @property
    def live_run(self) -> bool:
        """Workers of ours may be alive."""
        run = self.state.run
        return self.intents is not None and run is not None and run.live

    def measure(self, device: str) -> str | None:
        """Have the bandwidth of a device's paths measured; the reason where that cannot be."""
        reason = self.why_not("measure") or why_not_measure(self.state, device)
        if reason is None and self.intents is not None:
            self.intents.measure(device)
        return reason

    def why_not(self, action: str) -> str | None:
        """The reason an action is not possible now, None when it is."""
        if self.playback is not None:
            return "this is a replay"
        if self.intents is None:
            return "still starting"
        state = self.state
        if action in ("launch", "lap", "ask") and state.model is None:
            return NO_MODEL
        match action:
            case "launch":
                return None if state.offered else why_not_launch(state)
            case "lap":
                return why_not_launch(state)
            case "stop":
                live = state.recovering or (state.run is not None and state.run.live)
                return None if live else "no run is live; l launches the plan"
            case "ask":
                return why_not_ask(state)
            case "bench":
                return why_not_bench(state)
            case "cancel":
                return None if state.active is not None else "no answer is being written"
            case "take":
                live = state.bench is not None and state.bench.live
                return f"suite {state.bench.suite.name} is being measured" if state.bench and live else None
            case "serve":
                return None if state.model is not None else "no model is chosen"
            case _:
                return None
