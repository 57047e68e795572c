"""The list of models: what it says of each, and what its keys do."""

from __future__ import annotations

from core import events as ev
from tests.tui import scenes
from tests.tui.clusters import library
from tests.tui.conftest import NARROW, Open

T = scenes.T0 + 200


async def test_each_model_says_where_it_fits_and_where_it_lies(console: Open) -> None:
    for size in (NARROW, (120, 40)):
        async with console(scenes.planned(), size, intents=library()) as desk:
            await desk.press("M")
            await desk.settle()
            for word in ("org/Small-4bit", "● fits here", "◐ fits with demo-a + demo-b", "✖ does not fit"):
                assert word in desk.text, desk.text
            assert "88 MiB" in desk.text and "80.0 GiB" in desk.text
            assert "12.3 tok/s predicted" in desk.text
            await desk.press("j")
            assert "not on demo-b: a launch first copies" in desk.text
            assert "demo-c did not say" in desk.text
            await desk.press("j")
            assert "needs about 90.0 GiB" in desk.text
            await desk.press("j")
            assert "holds no config.json" in desk.text
            await desk.press("enter")
            assert "Cannot plan for it" in desk.text
            await desk.press("G")
            assert "enter makes it" in desk.text


async def test_a_chosen_model_is_planned_for_unless_a_run_is_live(console: Open) -> None:
    intents = library()
    async with console(scenes.planned(), NARROW, intents=intents) as desk:
        await desk.press("M", "slash", *"large", "enter")
        assert "org/Small-4bit" not in desk.text
        await desk.press("enter")
        assert intents.calls == [("use", "/models/large")]
        for event in scenes.run_ready(T):
            desk.bus.publish(event)
        await desk.press("M", "enter")
        assert "A run is live: x stops it" in desk.text
        assert len(intents.calls) == 1


async def test_a_folder_is_added_by_path(console: Open) -> None:
    intents = library()
    async with console(scenes.planned(), NARROW, intents=intents) as desk:
        await desk.press("M", "a", *"nowhere", "enter")
        assert "there is no folder nowhere" in desk.text
        await desk.press("a", *"/disk", "enter")
        assert intents.calls == [("add place", "nowhere"), ("add place", "/disk")]


async def test_without_any_model_it_says_how_to_get_one(console: Open) -> None:
    events = [event for event in scenes.planned() if not isinstance(event, ev.ModelChosen)]
    async with console(events, NARROW) as desk:
        await desk.press("M")
        assert "No model on this computer yet" in desk.text
        assert "press a to add a folder" in desk.text
