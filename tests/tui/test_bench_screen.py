"""The bench screen: suites, what is measured, and its keys."""

from __future__ import annotations

import pytest

from core import events as ev
from core.bench.collect import collect
from core.bench.progress import Progress
from core.bench.suite import Suite
from tests.tui import scenes
from tests.tui.clusters import measured
from tests.tui.conftest import NARROW, WIDE, Desk, Open
from tests.unit.benches import T0, Made, plan
from tui.screens.bench import BenchScreen
from tui.widgets.courses import courses


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


async def test_runs_are_plotted_below_the_table_where_that_leaves_it_room(console: Open) -> None:
    events = [*scenes.planned(), *measured(whole=False)]
    titles = ("pp16 tg8 decode tok/s", "pp32 tg8 decode tok/s")
    for size, shown in (((120, 40), titles), (NARROW, titles[:1]), ((80, 18), ())):
        async with console(events, size) as desk:
            await desk.press("B")
            await draw(desk)
            rows = desk.text.splitlines()
            table = max(i for i, row in enumerate(rows) if row.startswith(" even  pp32 tg8"))
            assert [title for title in titles if title in desk.text] == list(shown), desk.text
            assert all(title in rows[table + 2] for title in shown)
            if shown:
                assert "A auto 10.07  B even 6.70" in rows[table + 2]


def test_a_chart_is_of_a_point_and_its_lines_of_the_plans() -> None:
    suite = Suite(name="s", prompt=(16,), generate=(8,), concurrency=(1, 2), launches=2)
    names = "abcdefghij"
    made = Made(suite=suite, plans={name: (plan(), 1 / (i + 1)) for i, name in enumerate(names)})
    trials = tuple(collect(made.events).trials)
    alone, both = courses(Progress(suite=suite, started=T0, trials=trials))
    assert (alone.title, both.title) == ("pp16 tg8 decode tok/s", "pp16 tg8 ×2 all tok/s")
    assert ("".join(line.name for line in alone.lines), alone.more) == (names[2:], 2)
    fast = alone.lines[-1].series
    # Five runs a launch, and a gap where others were measured.
    assert [value is None for value in fast.values] == [*[False] * 5, True, *[False] * 5]
    assert list(fast.times) == sorted(fast.times)
    assert fast.values[0] == pytest.approx(10, rel=0.1)


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
