"""What opens, closes or grows while somebody is doing something else."""

from __future__ import annotations

import asyncio

from textual.events import AppBlur, AppFocus, MouseDown, MouseUp

from core import events as ev
from core.models.found import Fit, Model
from core.session import format as session
from core.session.record import Recorder
from core.session.replay import Player
from tests.tui import scenes
from tests.tui.clusters import ASKED, library
from tests.tui.conftest import Open
from tui.screens.console import ConsoleScreen
from tui.screens.question import Question
from tui.widgets.composer import Composer

T = scenes.T0 + 200
STUDIO = ev.DeviceSeen(t=T, device="studio", name="studio", address="studio.local", status="untrusted")
LOST = ev.RecoveryChanged(t=T, stage="asked", text="rank 1 was killed. Go on without it?")


async def test_a_question_does_not_take_the_letters_of_somebody_who_writes(console: Open) -> None:
    async with console([*scenes.planned(), STUDIO]) as desk:
        await desk.press("i", "w", "h")
        desk.bus.publish(ASKED)
        await desk.press("y", "space", "n")
        assert desk.intents.calls == []
        assert desk.app.screen.query_one(Composer).text == "why n"
        await desk.press("escape")
        await desk.sees("SHA256:abcDEF123")
        await desk.press("y")
        assert desk.intents.calls == [("trust", "studio", True)]


async def test_a_question_waits_for_a_terminal_in_the_background(console: Open) -> None:
    async with console([*scenes.planned(), STUDIO]) as desk:
        await desk.press("i")
        desk.app.post_message(AppBlur())
        desk.bus.publish(ASKED)
        await desk.settle()
        assert isinstance(desk.app.screen, ConsoleScreen)
        desk.app.post_message(AppFocus())
        await desk.sees("SHA256:abcDEF123")
        await desk.press("escape", "l")
        assert desk.app.screen.query_one(Composer).text == "l", "the focus is where it was"
        assert desk.intents.calls == []


async def test_the_palette_does_not_take_a_question_away(console: Open) -> None:
    async with console([*scenes.everything(), LOST]) as desk:
        await desk.sees("y go on")
        await desk.press("ctrl+p")
        assert isinstance(desk.app.screen, Question)
        await desk.press("y")
        assert desk.intents.calls == [("recover", True)]
        await desk.press("ctrl+p")
        assert not isinstance(desk.app.screen, ConsoleScreen)


async def test_what_was_decided_is_not_asked_again_while_it_is_done(console: Open) -> None:
    closing = asyncio.Event()

    class Slow(scenes.FakeIntents):
        async def close(self) -> None:
            await super().close()
            await closing.wait()

    intents = Slow()
    async with console([*scenes.planned(), *scenes.run_ready(T)], intents=intents) as desk:
        desk.app.simulate_key("q")
        await desk.sees("Stop it and quit?")
        desk.app.simulate_key("y")
        await desk.sees("Stopping what was started")
        desk.app.simulate_key("q")
        await desk.settle()
        assert isinstance(desk.app.screen, ConsoleScreen), "it is not asked again"
        closing.set()
        await desk.pilot.pause()
    assert intents.calls == [("close",)]
    assert desk.app.return_code == 0


async def test_a_double_click_in_one_packet_closes_one_screen(console: Open) -> None:
    async with console([*scenes.planned(), *scenes.run_ready(T)]) as desk:
        await desk.press("q")
        rows = desk.text.splitlines()
        y = next(y for y, row in enumerate(rows) if "n stay" in row)
        x = rows[y].index("n stay")
        for kind in (MouseDown, MouseUp) * 2:
            desk.app.post_message(
                kind(None, x, y, 0, 0, 1, shift=False, meta=False, ctrl=False, screen_x=x, screen_y=y)
            )
        await desk.settle()
        assert isinstance(desk.app.screen, ConsoleScreen)
        assert desk.intents.calls == []


async def test_a_list_that_is_left_while_it_is_read_reads_no_further(console: Open) -> None:
    reading = asyncio.Event()
    intents = library()
    intents.library.models *= 200

    async def fit(model: Model) -> Fit | None:
        reading.set()
        await asyncio.sleep(0)
        return None

    intents.library.fit = fit  # type: ignore[method-assign]
    async with console(scenes.planned(), intents=intents) as desk:
        desk.app.simulate_key("M")
        await asyncio.wait_for(reading.wait(), 20)
        desk.app.screen.dismiss(None)
        await desk.settle()
        assert isinstance(desk.app.screen, ConsoleScreen)


async def test_seeking_while_it_plays_draws_a_conversation_once(console: Open, tmp_path) -> None:
    path = tmp_path / "run.exo"
    async with console([]) as live:
        recorder = Recorder(live.bus, path)
        events = [*scenes.planned(), *scenes.run_ready(T), *scenes.asked(T)]
        events += [
            event
            for i in range(8)
            for event in (
                ev.RequestStarted(t=T + i + 3, request=f"r{i}", conversation="c1", prompt=f"prompt {i}"),
                ev.RequestDone(t=T + i + 3, request=f"r{i}", why="stop"),
            )
        ]
        for event in events:
            live.bus.publish(event)
        recorder.close()

    def playback(bus):
        player = Player(session.read(path), bus)
        player.to_end()
        return player

    async with console([], playback=playback) as desk:
        screen = desk.app.screen
        assert isinstance(screen, ConsoleScreen)
        assert desk.app.screen.query_one("#chatlog")
        for _ in range(3):
            assert desk.app.screen is screen
            screen.desk.playback.seek(0)
            await asyncio.gather(screen.paint_chat(), _again(screen))
            screen.desk.playback.to_end()
            await asyncio.gather(screen.paint_chat(), _again(screen))


async def _again(screen: ConsoleScreen) -> None:
    screen._told = None
    await screen.paint_chat()


async def test_the_smallest_terminals_show_what_they_can(console: Open) -> None:
    silence = ev.DiscoveryLooked(
        t=T, causes=(ev.Cause(what="no multicast", why="a VPN is up", todo="end it"),)
    )
    async with console([*scenes.planned(), silence], (20, 8)) as desk:
        for width, height in ((9, 6), (6, 6), (1, 1), (80, 24)):
            await desk.pilot.resize_terminal(width, height)
            await desk.settle()
        await desk.sees("no multicast")
