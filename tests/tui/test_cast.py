"""A recording as an asciicast."""

from __future__ import annotations

import json

from core.session.format import Header, Recording
from core.state import ClusterState
from tests.tui import scenes
from tui.cast import cast


async def test_a_recording_becomes_an_asciicast_that_shows_the_console() -> None:
    events = scenes.everything(6)
    header = Header(started=scenes.T0, software={}, state=ClusterState())
    recording = Recording(header, tuple(events), truncated=False)
    first, *rest = [json.loads(line) for line in await cast(recording, "film", (100, 30))]

    assert (first["version"], first["width"], first["height"]) == (2, 100, 30)
    times = [moment for moment, _, _ in rest]
    assert times == sorted(times) and times[-1] <= 6
    shown = "".join(text for _, kind, text in rest if kind == "o")
    assert "demo-a" in shown and "SmolLM2-135M" in shown
    assert next(text for _, kind, text in rest if kind == "m") == "plan 12/10/8"
    # Only what changed is written again: a picture a step would be many times that.
    whole = len(next(text for _, kind, text in rest if kind == "o"))
    assert len(shown) < 4 * whole
