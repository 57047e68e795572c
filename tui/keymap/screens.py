"""Keys of the screens beside the main one: map, device, doctor, bench, comparison, plan card."""

from __future__ import annotations

from textual.binding import Binding

MAP = (
    Binding("down,j,right", "choose(1)", "Next", show=False, tooltip="The next device", id="map.next"),
    Binding("up,k,left", "choose(-1)", "Previous", show=False, tooltip="The one before", id="map.previous"),
    Binding("home,g", "end_of(False)", "First", show=False, tooltip="The first device", id="map.first"),
    Binding("end,G", "end_of(True)", "Last", show=False, tooltip="The last device", id="map.last"),
    Binding("enter", "open", "About", tooltip="All about the chosen device", id="map.open"),
    Binding("t", "table", "Table", tooltip="Graph or table", id="map.table"),
    Binding("s", "sort", "Sort", tooltip="By rank, name, memory, worst link, status", id="map.sort"),
    Binding("w", "measure", "Bandwidth", tooltip="Measure what its paths carry", id="map.measure"),
    Binding(
        "W",
        "lap",
        "Hand-overs",
        show=False,
        tooltip="Measure how fast the plan's ranks hand over, without a model",
        id="map.lap",
    ),
)

DEVICE = (
    Binding("right,n", "choose(1)", "Next", tooltip="The next device", id="device.next"),
    Binding("left,p", "choose(-1)", "Previous", tooltip="The one before", id="device.previous"),
    Binding("w", "measure", "Bandwidth", tooltip="Measure what its paths carry", id="device.measure"),
)

DOCTOR = (
    Binding("down,j", "choose(1)", "Next", show=False, tooltip="The next finding", id="doctor.next"),
    Binding("up,k", "choose(-1)", "Previous", show=False, tooltip="The one before", id="doctor.previous"),
    Binding("c,enter", "copy", "Copy", tooltip="Copy its commands", id="doctor.copy"),
    Binding("escape,q,D", "dismiss", "Close", tooltip="Close", id="doctor.close"),
)

BENCH = (
    Binding(
        "down,j",
        "choose(1)",
        "Next",
        show=False,
        priority=True,
        tooltip="The next suite",
        id="bench.next",
    ),
    Binding(
        "up,k",
        "choose(-1)",
        "Previous",
        show=False,
        priority=True,
        tooltip="The one before",
        id="bench.previous",
    ),
    Binding("enter", "begin", "Measure", tooltip="Measure the chosen suite", id="bench.begin"),
    Binding("space", "hold", "Pause", tooltip="Hold the next run back, or go on", id="bench.hold"),
    Binding("x", "abort", "End", tooltip="End the suite; what was measured stays", id="bench.abort"),
    Binding("c", "compare", "Compare", tooltip="Recordings side by side", id="bench.compare"),
    Binding("escape", "dismiss", "Back", tooltip="Back to the console; measuring goes on", id="bench.leave"),
)

COMPARE = (
    Binding("s", "turn", "Swap", tooltip="Compare with the next recording instead", id="compare.turn"),
    Binding("escape", "dismiss", "Back", tooltip="Back to the suites", id="compare.leave"),
)

PLAN = (Binding("p", "dismiss", "Close", tooltip="Close", id="card.close"),)
