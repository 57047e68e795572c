"""What a terminal user expects of any screen: help, palette, `:`, `/`, jump mode, keys of one's own."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from textual.binding import Binding
from textual.dom import DOMNode
from textual.widgets import Input

import tui
from core import events as ev
from tests.tui import scenes
from tests.tui.conftest import NARROW, Open
from tui import keymap, keysfile
from tui.commandline import Command, complete, find
from tui.notices import notices
from tui.widgets.composer import Composer
from tui.widgets.filterbar import matches

T = scenes.T0 + 200


def _classes(kind: type[DOMNode] = DOMNode) -> Iterator[type[DOMNode]]:
    for module in pkgutil.walk_packages(tui.__path__, "tui."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = [kind]
    for known in found:
        found += [sub for sub in known.__subclasses__() if sub not in found]
    yield from (known for known in found if known.__module__.startswith("tui."))


def test_every_key_has_an_id_says_what_it_does_and_is_in_the_keymap() -> None:
    known = {id(binding) for group in keymap.groups().values() for binding in group}
    ids = [binding.id for group in keymap.groups().values() for binding in group]
    assert len(set(ids)) == len(ids)
    for kind in _classes():
        for binding in kind.__dict__.get("BINDINGS", ()):
            assert isinstance(binding, Binding), (kind, binding)
            assert id(binding) in known, f"{kind.__name__}: {binding} belongs into tui/keymap"
            assert binding.id and binding.description and binding.tooltip, binding


def test_no_two_keys_that_work_together_are_the_same() -> None:
    assert not list(keysfile.clashes(keymap.groups(), {}))


async def test_help_is_made_of_what_the_screen_can_do(console: Open) -> None:
    async with console(scenes.planned()) as desk:
        await desk.press("question_mark")
        seen = desk.text
        await desk.press("G")
        seen += desk.text
        for word in ("Launch the plan", "Write a prompt", "answer a new host key", "? f1", "↓ j"):
            assert word in seen, seen
        assert "Pause or go on" not in desk.text
        await desk.press("escape")
        assert "Write a prompt" not in desk.text

    def playback(bus):
        return scenes.FakePlayback(bus, scenes.planned())

    async with console([], playback=playback) as desk:
        await desk.press("question_mark")
        assert "Pause or go on" in desk.text
        assert "Launch the plan" not in desk.text


async def test_the_palette_finds_every_action_and_says_why_one_is_not_possible(console: Open) -> None:
    async with console(scenes.planned()) as desk:
        await desk.press("ctrl+p", *"stop run")
        assert "Not now: no run is live; l launches the plan" in desk.text
        await desk.press("escape", "ctrl+p", *"launch", "enter", "enter")
        assert desk.intents.calls == [("launch",)]


async def test_a_command_is_typed_completed_and_carried_out(console: Open) -> None:
    async with console(scenes.everything(), NARROW) as desk:
        await desk.press("colon", *"plo", "enter")
        assert "Memory" in desk.text
        await desk.press("colon", *"theme li", "tab")
        assert desk.app.screen.query_one(Input).value == "theme light"
        await desk.press("enter")
        assert desk.app.theme == "light"
        await desk.press("colon", "up", "up", "up", "enter")
        assert "Map  3 of 3" in desk.text, desk.text
        await desk.press("escape", "colon", *"nonsense", "enter")
        assert "nothing is called nonsense" in desk.text
        await desk.press("colon", *"quit", "enter", "y")
        assert ("close",) in desk.intents.calls


async def test_a_chosen_theme_is_seen_before_it_is_kept_and_remembered(console: Open) -> None:
    async with console(scenes.planned()) as desk:
        before = desk.app.theme
        await desk.press("T", "down")
        assert desk.app.theme != before
        await desk.press("escape")
        assert desk.app.theme == before
        await desk.press("T", "k")
        kept = desk.app.theme
        await desk.press("enter")
    async with console(scenes.planned()) as desk:
        assert desk.app.theme == kept != before


async def test_jump_mode_puts_a_letter_on_each_thing_and_goes_there(console: Open) -> None:
    async with console(scenes.everything()) as desk:
        chain = desk.app.screen.focus_chain
        await desk.press("f", "s")
        assert desk.app.focused is chain[1]
        await desk.press("f", "escape")
        assert desk.app.focused is chain[1]


async def test_a_filter_narrows_while_it_is_typed(console: Open) -> None:
    async with console(scenes.everything(), NARROW) as desk:
        await desk.press("slash", *"demo-b")
        assert "demo-a" not in desk.text.split("Plan")[0]
        assert "3 of 3 ready, 1 shown" in desk.text
        await desk.press("enter", "G", "enter")
        await desk.press("slash", "escape")
        assert "demo-a" in desk.text
        await desk.press("4", "slash", *"!stderr memory", "enter")
        assert "memory is 92 %" in desk.text
        assert "loaded layers" not in desk.text


async def test_digits_and_letters_are_text_where_one_writes(console: Open) -> None:
    async with console([*scenes.planned(), *scenes.run_ready(T)]) as desk:
        await desk.press("i", *"1234 lxnqT", "colon", "slash", "question_mark")
        assert desk.app.screen.query_one("#composer", Composer).text == "1234 lxnqT:/?"
        assert desk.intents.calls == []


async def test_keys_of_ones_own_replace_ours_and_a_bad_line_is_named(console: Open, config_folder) -> None:
    config_folder.mkdir(exist_ok=True)
    (config_folder / "keys.toml").write_text(
        'launch = "f5,L"\nstop = "i"\nno.such = "z"\ncluster = 3\nchat = "nokey"\n[pane]\nnext = "N"\n'
    )
    async with console(scenes.planned()) as desk:
        for word in (
            "nothing is called no.such",
            "i would be both",
            "cluster wants a key",
            "nokey is no key",
        ):
            assert word in desk.text, desk.text
        await desk.press("l")
        assert desk.intents.calls == []
        await desk.press("L")
        assert desk.intents.calls == [("launch",)]
        await desk.press("x")
        assert "Cannot stop" in desk.text
        await desk.press("question_mark")
        assert "f5 L" in desk.text


@pytest.mark.parametrize(
    ("needle", "shown"), [("", True), ("stu READY", True), ("!studio", False), ("!mini", True), ("! ", False)]
)
def test_words_of_a_filter_must_all_be_there(needle: str, shown: bool) -> None:
    assert matches(needle, "Studio ready") is shown


def test_a_command_is_found_by_its_beginning() -> None:
    async def run(_: str) -> None: ...

    commands = [
        Command("pane.next", "", run),
        Command("plots", "", run),
        Command("theme", "", run, ("dark", "light")),
    ]
    assert [text for text, _ in complete(commands, "p")] == ["pane.next", "plots"]
    assert [text for text, _ in complete(commands, "ne")] == ["pane.next"]
    assert [text for text, _ in complete(commands, "theme ")] == ["theme dark", "theme light"]
    assert find(commands, "th light") == (commands[2], "light")
    assert "theme takes dark, light" in find(commands, "theme blue")
    assert "takes no argument" in find(commands, "plots now")


def test_what_went_wrong_is_told_once_with_a_remedy() -> None:
    before = scenes.fold([*scenes.planned(), *scenes.run_ready(T)])
    lost = ev.DeviceSeen(
        t=T, device="demo-a", name="demo-a", address="", status="lost", detail="no answer for 4 s"
    )
    stopped = ev.RunStopped(t=T, run="run-1", failed=True, reason="rank 1 on demo-b was killed")
    after = scenes.fold([*scenes.planned(), *scenes.run_ready(T), lost, stopped])
    told = [(notice.title, notice.text) for notice in notices(before, after)]
    assert (
        "Run failed",
        "rank 1 on demo-b was killed · l launches again, 4 shows each rank's stderr",
    ) in told
    assert any(title == "demo-a" and "no answer for 4 s · it is asked again" in text for title, text in told)
    assert not notices(after, after)


def test_a_key_of_ones_own_may_be_punctuation_and_a_moved_one_leaves_the_others_alone(tmp_path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(
        'launch = "@,_,ctrl+/"\nstop = "backslash"\nnew = "\\u0001"\nboard.pick = "v"\nboard.back = "z"\n',
        "utf-8",
    )
    keys, problems = keysfile.read(path, keymap.groups())
    assert (keys["launch"], keys["stop"]) == ("at,underscore,ctrl+slash", "backslash")
    assert len(problems) == 1 and "new: \x01 is no key" in problems[0]
    assert (keys["board.drop.space"], keys["board.put-back"]) == ("space", "escape")


async def test_a_click_on_a_line_of_the_help_does_what_its_key_would(console: Open) -> None:
    async with console(scenes.planned(), NARROW) as desk:
        await desk.press("question_mark")
        rows = desk.text.splitlines()
        y = next(y for y, row in enumerate(rows) if "Launch the plan" in row)
        await desk.pilot.click(offset=(rows[y].index("Launch"), y))
        await desk.settle()
        assert desk.intents.calls == [("launch",)] and "Launch the plan" not in desk.text
