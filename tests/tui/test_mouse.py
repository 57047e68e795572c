"""What a mouse does: whatever is named on the screen can be clicked."""

from __future__ import annotations

from core import events as ev
from core.joining import Wanted
from tests.tui import scenes
from tests.tui.clusters import ASKED, library
from tests.tui.conftest import NARROW, WIDE, Desk, Open
from tui.widgets.keybar import KeyBar

T = scenes.T0 + 200


async def click(desk: Desk, word: str) -> None:
    """Click on a word, the lowest one that is shown."""
    rows = desk.text.splitlines()
    y = max(y for y, row in enumerate(rows) if word in row)
    await desk.pilot.click(offset=(rows[y].rindex(word), y))
    await desk.settle()


async def test_the_names_at_the_top_go_to_the_panes_and_to_the_map(console: Open) -> None:
    async with console(scenes.everything(), NARROW) as desk:
        for name, seen in (("2 Chat", "Ask the model"), ("3 Plots", "Memory GiB"), ("4 Log", "stderr")):
            await click(desk, name)
            assert seen in desk.text
        await click(desk, "5 Map")
        assert "Map  3 of 3 devices" in desk.text
        await click(desk, "esc Back")
        await click(desk, "1 Cluster")
        assert "3 of 3 ready" in desk.text


async def test_a_device_a_peer_and_a_request_are_chosen_by_a_click_and_opened_by_another(
    console: Open,
) -> None:
    async with console(scenes.everything(), NARROW) as desk:
        await click(desk, "demo-b  AMD")
        assert "›  ● ready  demo-b" in desk.text
        await click(desk, "demo-b  AMD")
        assert "address     127.0.0.1" in desk.text
        await click(desk, "esc Back")
        await click(desk, "Mac Studio")
        assert desk.intents.calls == []
        await click(desk, "Mac Studio")
        await click(desk, "enter adds it")
        assert desk.intents.calls == [("add", "studio.local.:22", Wanted(name="Mac Studio"))]


async def test_a_new_host_key_is_answered_by_a_click(console: Open) -> None:
    studio = ev.DeviceSeen(t=T, device="studio", name="studio", address="studio.local", status="untrusted")
    async with console([*scenes.planned(), studio, ASKED], NARROW) as desk:
        await desk.sees("SHA256:abcDEF123")
        await click(desk, "esc decide later")
        assert desk.intents.calls == []
        await click(desk, "studio.local")
        await click(desk, "studio.local")
        await desk.sees("SHA256:abcDEF123")
        await click(desk, "n refuse")
        assert desk.intents.calls == [("trust", "studio", False)]


async def test_a_model_is_chosen_by_mouse(console: Open) -> None:
    intents = library()
    async with console(scenes.planned(), NARROW, intents=intents) as desk:
        await click(desk, "exo-tui · SmolLM2")  # its name at the top
        await click(desk, "Large")
        assert "not on demo-b" in desk.text
        await click(desk, "enter plans for it")
        assert intents.calls == [("use", "/models/large")]


async def test_a_theme_a_command_and_a_suite_are_chosen_by_mouse(console: Open) -> None:
    async with console(scenes.planned(), NARROW) as desk:
        await desk.press("T")
        await click(desk, "paper")
        assert desk.app.theme == "paper"
        await click(desk, "esc back")
        assert desk.app.theme == "dark"
        await desk.press("colon", *"bench")
        await click(desk, "Measure a suite")
        await desk.sees("› quick")
        desk.app.screen.paint()  # type: ignore[attr-defined]
        await click(desk, "standard")
        await click(desk, "⏎ Measure")
        assert desk.intents.calls == [("bench", "standard")]


async def test_quit_is_always_in_reach_and_asks_when_a_run_is_live(console: Open) -> None:
    async with console(scenes.everything(), NARROW) as desk:
        for name in ("1 Cluster", "2 Chat", "3 Plots"):
            await click(desk, name)
            assert desk.text.rstrip().endswith("? Help q Quit")
        await click(desk, "q Quit")
        await click(desk, "n stay")
        assert desk.app.is_running and desk.intents.calls == []
        await click(desk, "q Quit")
        await click(desk, "y stop and quit")
        assert desk.intents.calls == [("close",)]


async def test_a_pane_chosen_by_mouse_is_in_front_when_the_terminal_shrinks(console: Open) -> None:
    async with console(scenes.everything(), WIDE) as desk:
        await desk.pilot.click("#log LogRows")
        await desk.pilot.resize_terminal(*NARROW)
        await desk.settle()
        assert "memory is 92 %" in desk.text and "Devices" not in desk.text


async def test_a_dimmed_key_that_is_clicked_says_why(console: Open) -> None:
    async with console(scenes.planned(), NARROW) as desk:
        await click(desk, "x Stop run")
        await desk.sees("Cannot stop: no run is live")
        await desk.press("B")
        desk.app.screen.paint()  # type: ignore[attr-defined]
        await click(desk, "x End")
        await desk.sees("Cannot end: no suite")
        desk.app.clear_notifications()
        await desk.press("space")
        await desk.sees("Cannot pause: no suite")


async def test_a_key_under_the_pointer_says_what_it_does(console: Open) -> None:
    async with console(scenes.planned()) as desk:
        bar = desk.app.screen.query_one(KeyBar)
        x = bar.render_line(0).text.index("b Board")
        await desk.pilot.hover(KeyBar, (x, 0))
        assert bar.tooltip == "The shard board: move layers between devices"
        await desk.pilot.hover(KeyBar, (x - 1, 0))  # the gap before it
        assert bar.tooltip is None
