"""The bench screen: suites, what is measured, and its keys."""

from __future__ import annotations

from core import events as ev
from tests.tui import scenes
from tests.tui.clusters import measured
from tests.tui.conftest import NARROW, WIDE, Desk, Open
from tests.unit.benches import T0
from tui.screens.bench import BenchScreen


async def draw(desk: Desk) -> None:
    """Draw now what the timer would draw next."""
    await desk.pilot.pause()
    screen = desk.app.screen
    assert isinstance(screen, BenchScreen)
    screen.paint()
    await desk.pilot.pause()


async def test_a_suite_is_chosen_and_measured(console: Open) -> None:
    async with console(scenes.planned(), NARROW) as desk:
        await desk.press("B")
        await draw(desk)
        for word in ("› quick", "standard", "sweep", "depth", "Enter measures the chosen suite."):
            assert word in desk.text, desk.text
        await desk.press("down", "enter")
        assert desk.intents.calls == [("bench", "standard")]


async def test_a_suite_under_way_is_shown_held_and_ended(console: Open) -> None:
    events = [*scenes.planned(), *measured(whole=False)]
    async with console(events) as desk:
        assert "● measuring" in desk.text
        await desk.press("B")
        await draw(desk)
        for word in ("● measuring  made-up  24 runs", "auto", "even", "pp16 tg8", "decode tok/s", "±"):
            assert word in desk.text, desk.text
        assert "› quick" not in desk.text
        await desk.press("space", "x")
        assert desk.intents.calls == [("pause", True), ("abort",)]
        desk.bus.publish(ev.BenchPaused(t=T0 + 900, paused=True))
        await draw(desk)
        assert "⏸ paused" in desk.text
        desk.bus.publish(ev.BenchDone(t=T0 + 901, why="abort"))
        await draw(desk)
        assert "■ ended by you" in desk.text
        assert "pp32 tg8" in desk.text  # what was measured stays
        await desk.press("escape")
        assert "● measuring" not in desk.text


async def test_without_a_plan_the_screen_says_why(console: Open) -> None:
    async with console([]) as desk:
        await desk.press("B")
        await draw(desk)
        assert "Nothing to measure yet: there is no plan yet" in desk.text
        await desk.press("enter")
        assert desk.intents.calls == []


async def test_a_replay_shows_the_suite_and_jumps_from_run_to_run(console: Open) -> None:
    events = measured()

    def playback(bus):
        return scenes.FakePlayback(bus, events)

    async with console([], WIDE, playback=playback) as desk:
        await desk.press("comma")
        assert "◆ run ended" in desk.text
        await desk.press("comma")
        assert "even, pp32 tg8, run 5" in desk.text
        await desk.press("comma")
        assert "even, pp16 tg8, run 5" in desk.text
        await desk.press("full_stop")
        assert "even, pp32 tg8, run 5" in desk.text
        await desk.press("left")
        await desk.press("B")
        await draw(desk)
        assert "● measuring  made-up" in desk.text
        await desk.press("x")
        assert desk.intents.calls == []


async def test_a_recording_is_begun_by_a_key_and_shown(console: Open) -> None:
    async with console(scenes.planned(), NARROW) as desk:
        await desk.press("R")
        assert desk.intents.calls == [("record",)]
        desk.bus.publish(ev.RecordingChanged(t=T0, path="/tmp/session.exo"))
        await desk.settle()
        assert "◉ rec" in desk.text
