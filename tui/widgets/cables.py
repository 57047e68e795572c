"""The Thunderbolt cables between devices, and what keeps RDMA from each."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from core.state import ClusterState
from core.wiring import Cable, End
from tui.widgets.cells import Cell, line, table
from tui.widgets.links import device_name
from tui.widgets.rows import StateRows

TONES = {"ready": "$text-success", "in use": "$text-success", "unknown": "$muted", "faulted": "$text-error"}


def cable_rows(state: ClusterState, width: int) -> list[Content]:
    """A heading and a row for each cable; nothing where there is none."""
    if not state.cables:
        return []
    heading = line(("Cables", "bold $text-accent"), ("  Thunderbolt", "$muted"), width=width)
    return [heading, *table([_cable(state, one) for one in state.cables], width, flex=3, drop=(3, 1))]


def _cable(state: ClusterState, cable: Cable) -> list[Cell]:
    speed = f"{cable.thunderbolt} {cable.gbps:g} Gb/s" if cable.gbps else cable.thunderbolt
    through = f"through {', '.join(cable.docks)}" if cable.docks else ""
    if not cable.mutual:
        through = f"only {device_name(state, cable.a.device)} sees it" if cable.b else "no device there"
    far = _end(state, cable.b) if cable.b else cable.far or "another computer"
    return [
        (f"{_end(state, cable.a)} — {far}", "bold"),
        (speed, ""),
        (f"RDMA {cable.rdma}", TONES.get(cable.rdma, "$text-warning")),
        (through, "$muted"),
    ]


def _end(state: ClusterState, end: End) -> str:
    return f"{device_name(state, end.device)} {end.port.removeprefix('Thunderbolt ')}".rstrip()


class Cables(StateRows):
    """The cables table."""

    def rows(self, state: ClusterState, width: int) -> Sequence[Content]:
        """See `cable_rows`."""
        return cable_rows(state, width)
