"""Keys that come in one packet, as over a slow link: each finds what the one before it opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.events import Key
from textual.message import Message
from textual.message_pump import MessagePump
from textual.timer import Timer
from textual.widgets import Input

from tests.tui import scenes
from tests.tui.conftest import Desk, Open
from tui.typeahead import LOOK_S, PATIENCE_S, ROUNDS, Settled, TypeAhead
from tui.widgets.composer import Composer

if TYPE_CHECKING:
    from textual.app import App

T = scenes.T0 + 200
NAMES = {" ": "space", "/": "slash", ":": "colon", "\n": "ctrl+j"}


def burst(app: App[None], text: str) -> None:
    """All keys of `text` are in the queue before any is looked at."""
    for char in text:
        app.post_message(Key(NAMES.get(char, char), None if char == "\n" else char))


async def written(desk: Desk, widget: type[Composer | Input], text: str) -> None:
    def found() -> str:
        it = next(iter(desk.app.screen.query(widget)), None)
        return "" if it is None else it.text if isinstance(it, Composer) else it.value

    for _ in range(100):
        if found() == text:
            return
        await desk.settle()
    raise AssertionError(f"{found()!r} is not {text!r}")


@pytest.mark.parametrize(
    ("keys", "widget", "text"),
    [
        ("/mini", Input, "mini"),
        ("ilaunch\nplan", Composer, "launch\nplan"),
        (":help", Input, "help"),
        ("c/mini", Input, "mini"),
    ],
)
async def test_what_follows_a_key_goes_to_what_it_opens(keys: str, widget, text: str, console: Open) -> None:
    async with console([*scenes.planned(), *scenes.run_ready(T)]) as desk:
        burst(desk.app, keys)
        await written(desk, widget, text)
        assert desk.intents.calls == []


async def test_what_a_key_closes_is_closed_for_the_next(console: Open) -> None:
    async with console(scenes.planned()) as desk:
        for key in (Key("question_mark", "?"), Key("escape", None), Key("b", "b")):
            desk.app.post_message(key)
        await desk.sees("space picks it up")


class Deaf(MessagePump):
    """Takes messages and never handles one."""

    def post_message(self, message: Message) -> bool:
        return True


async def test_a_handler_that_waits_does_not_take_the_keyboard_away() -> None:
    front, given, alarms = Deaf(), [], []
    ahead = TypeAhead(lambda: front, given.append, lambda _, call: alarms.append(call) or Timer(front, 1))
    first, second = Key("a", "a"), Key("b", "b")
    assert not ahead.holds(first)
    ahead.sent()
    assert ahead.holds(second)
    looks = 0
    while not given:
        alarms.pop()()
        looks += 1
    assert looks * LOOK_S == pytest.approx(PATIENCE_S)
    assert given == [second]
    assert not ahead.holds(second)


async def test_a_look_that_comes_too_late_begins_nothing() -> None:
    front, given, alarms = Deaf(), [], []
    ahead = TypeAhead(lambda: front, given.append, lambda _, call: alarms.append(call) or Timer(front, 1))
    ahead.sent()
    assert ahead.holds(Key("b", "b"))
    late = alarms.pop()
    for number in range(1, ROUNDS + 1):
        ahead.settled(Settled(number))
    assert len(given) == 1, "the next key's turn"
    late()
    assert not alarms
