"""What the three charts show of the state."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical

from core.state import ClusterState
from tui.widgets.chart import Chart, ChartData, Line
from tui.widgets.devices import in_order
from tui.widgets.figures import GIB, gib, latency
from tui.widgets.links import device_name


def _value(value: float | None, unit: str) -> str:
    return f"{value:.1f}{unit}" if value is not None else "—"


def memory(state: ClusterState) -> ChartData:
    """Memory in use on each device."""
    lines = tuple(
        Line(d.name, d.memory, gib(d.memory.last) if d.memory.last is not None else "—")
        for d in in_order(state)
    )
    return ChartData("Memory GiB", lines, 1 / GIB, lambda v: f"{v:g}", "no device has sent a sample")


def round_trips(state: ClusterState) -> ChartData:
    """Median round trip of each link."""
    lines = tuple(
        Line(
            f"{device_name(state, link.source)}→{device_name(state, link.target)}",
            link.p50,
            latency(link.p50.last) if link.p50.last is not None else "—",
        )
        for link in state.links.values()
    )
    why = "links are measured once two devices are ready"
    return ChartData("Link p50", lines, 1.0, latency, why)


def speed(state: ClusterState) -> ChartData:
    """Tokens a second, written and read."""
    lines = (
        Line("decode", state.decode, _value(state.decode.last, "")),
        Line("prefill", state.prefill, _value(state.prefill.last, "")),
    )
    return ChartData("Tokens/s", lines, 1.0, lambda v: f"{v:g}", "ask the model something")


class PlotsPane(Vertical, can_focus=True):
    """Memory, latency and speed, one above the other."""

    BORDER_TITLE = "3 Plots"

    def compose(self) -> ComposeResult:
        """Three charts share the height."""
        yield Chart(id="memory")
        yield Chart(id="round-trips")
        yield Chart(id="speed")

    def draw(self, state: ClusterState) -> None:
        """Show `state` on all charts."""
        self.query_one("#memory", Chart).draw(memory(state))
        self.query_one("#round-trips", Chart).draw(round_trips(state))
        self.query_one("#speed", Chart).draw(speed(state))
