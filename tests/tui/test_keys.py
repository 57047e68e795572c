"""What keys do, and what they say when they cannot."""

from __future__ import annotations

import pytest

from core import events as ev
from core.bus import Bus
from core.circumstances import hosts
from core.intents import Intents
from core.joining import Wanted
from core.plan.propose import split
from core.session import format as session
from core.session.record import Recorder
from core.session.replay import Player
from tests.tui import scenes
from tests.tui.clusters import ASKED
from tests.tui.conftest import NARROW, WIDE, Desk, Open
from tui.app import ConsoleApp
from tui.cli import UsageError
from tui.widgets.chatlog import ChatLog
from tui.widgets.cluster import ClusterPane
from tui.widgets.composer import Composer
from tui.widgets.figures import wall

T = scenes.T0 + 200


async def test_launch_stop_and_a_prompt_reach_the_cluster(console: Open) -> None:
    async with console(scenes.planned()) as desk:
        await desk.press("l")
        assert desk.intents.calls == [("launch",)]
        await desk.press("x")
        assert "Cannot stop: no run is live" in desk.text
        for event in scenes.run_ready(T):
            desk.bus.publish(event)
        await desk.press("i", "h", "i", "enter")
        assert desk.intents.calls[1:] == [("ask", "hi")]
        await desk.press("escape", "x")
        assert desk.intents.calls[2:] == [("stop",)]


async def test_a_prompt_that_cannot_be_sent_stays(console: Open) -> None:
    async with console([*scenes.planned(), *scenes.run_ready(T), *scenes.asked(T)]) as desk:
        await desk.press("i", "m", "o", "r", "e", "enter")
        assert desk.intents.calls == []
        assert desk.app.screen.query_one(Composer).text == "more"
        assert "Cannot ask: the model is still answering" in desk.text
        await desk.press("ctrl+s")
        assert desk.intents.calls == [("cancel",)]


async def test_the_answer_grows_as_tokens_come(console: Open) -> None:
    async with console([*scenes.planned(), *scenes.run_ready(T), *scenes.asked(T)]) as desk:
        assert "reading the prompt" in desk.text
        desk.bus.publish(ev.TokensStreamed(t=T, request="q1", ids=(1,), text="**Hol"))
        await desk.settle()
        desk.bus.publish(ev.TokensStreamed(t=T, request="q1", ids=(2,), text="low** layers"))
        await desk.settle()
        assert "Hollow layers" in desk.text
        assert "▸ writing · 2 tokens" in desk.text
        desk.bus.publish(ev.RequestDone(t=T, request="q1", why="error", detail="rank 1 on demo-b was killed"))
        await desk.settle()
        assert "✖ failed: rank 1 on demo-b was killed" in desk.text
        await desk.press("n")
        assert desk.intents.calls == [("new",)]
        desk.bus.publish(ev.ConversationStarted(t=T, conversation="c2"))
        await desk.settle()
        assert "Hollow layers" not in str(desk.app.screen.query_one(ChatLog).children)
        assert "Hollow layers" not in desk.text


async def test_a_new_host_key_is_shown_and_answered(console: Open) -> None:
    events = [
        *scenes.planned(),
        ev.DeviceSeen(t=T, device="studio", name="studio", address="studio.local", status="untrusted"),
        ASKED,
    ]
    async with console(events) as desk:
        await desk.sees("SHA256:abcDEF123")
        assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in desk.text
        await desk.press("escape")
        assert desk.intents.calls == []
        assert "SHA256:abcDEF123" not in desk.text
        await desk.press("down", "down", "down", "enter")
        assert "SHA256:abcDEF123" in desk.text
        await desk.press("y")
        assert desk.intents.calls == [("trust", "studio", True)]


@pytest.mark.parametrize("key", ["y", "n"])
async def test_a_failed_run_asks_whether_to_go_on(key: str, console: Open) -> None:
    lost = "rank 1 on demo-b was killed (SIGKILL) in decode. Go on without it?"
    events = [*scenes.everything(), ev.RecoveryChanged(t=T, stage="asked", text=lost)]
    async with console(events) as desk:
        await desk.sees("y go on")
        await desk.press(key)
        assert desk.intents.calls == [("recover", key == "y")]
        await desk.settle()
        assert "y go on" not in desk.text, "asked once"


async def test_enter_adds_the_chosen_peer(console: Open) -> None:
    async with console(scenes.everything()) as desk:
        await desk.press("1", "down", "down", "down", "enter", *"me", "enter")
        assert desk.intents.calls == [("add", "studio.local.:22", Wanted(name="Mac Studio", user="me"))]


async def test_requests_of_others_are_listed_and_can_be_ended(console: Open) -> None:
    def asked(name: str, prompt: str) -> ev.RequestStarted:
        return ev.RequestStarted(t=T, request=name, conversation="", prompt=prompt, source="api")

    events = [
        *scenes.planned(),
        *scenes.run_ready(T),
        asked("a", "[b]Summarise[/b]"),
        asked("b", "Translate"),
    ]
    events += [ev.TokensStreamed(t=T + i, request="a", ids=(i,), text="x") for i in range(5)]
    async with console(events, NARROW) as desk:
        for word in (
            "2 open",
            "▸ decode",
            "[b]Summarise[/b]",
            "5 tok",
            "1.0 tok/s",
            "○ waiting",
            "Translate",
        ):
            assert word in desk.text, desk.text
        await desk.press("down", "down", "down", "down", "d")
        assert desk.intents.calls == [("withdraw", "b")]
        await desk.press("K", "J")
        assert desk.intents.calls[1:] == [("reorder", "b", -1), ("reorder", "b", 1)]
        await desk.press("k", "K", "k", "d")
        await desk.sees("Cannot move a request: it is")
        await desk.sees("Choose a request first:")
        assert len(desk.intents.calls) == 3
        desk.bus.publish(ev.ApiServed(t=T + 4, url="http://127.0.0.1:52415/v1"))
        await desk.settle()
        assert "http://127.0.0.1:52415/v1" in desk.text
        await desk.press("A")
        assert desk.intents.calls[3:] == [("serve",)]
        desk.bus.publish(ev.RequestDone(t=T + 5, request="a", why="stop"))
        desk.bus.publish(ev.RequestDone(t=T + 5, request="b", why="cancel"))
        await desk.settle()
        assert "Requests" not in desk.text


async def test_quit_asks_when_a_run_is_live(console: Open) -> None:
    async with console([*scenes.planned(), *scenes.run_ready(T)], NARROW) as desk:
        await desk.press("q")
        assert "A run is live on 3 devices. Stop it and quit?" in desk.text
        await desk.press("n")
        assert desk.intents.calls == []
        await desk.press("q", "y")
        assert desk.intents.calls == [("close",)]
        assert desk.app.return_code == 0


async def test_quit_does_not_ask_when_nothing_runs(console: Open) -> None:
    async with console(scenes.planned()) as desk:
        await desk.press("q")
        assert desk.intents.calls == [("close",)]


async def test_the_palette_breaks_a_rehearsal_and_nothing_else(console: Open) -> None:
    intents = scenes.FakeIntents(faults=("kill", "cut"))
    async with console([*scenes.planned(), *scenes.run_ready(T)], intents=intents) as desk:
        await desk.press("ctrl+p")
        await desk.press(*"kill rank on demo-b", "enter")
        await desk.press("enter")
        assert intents.calls == [("inject", "kill", "demo-b")]
    async with console([*scenes.planned(), *scenes.run_ready(T)]) as desk:
        await desk.press("ctrl+p")
        assert "Launch" in desk.text
        assert "Fault" not in desk.text


async def test_the_plan_card_says_what_was_weighed(console: Open) -> None:
    async with console([]) as desk:
        await desk.press("p")
        assert "No plan yet: waiting for devices to be ready" in desk.text
    weighed = split(scenes.SPEC, hosts(scenes.fold(scenes.planned())), scenes.SPLIT, 4096)
    async with console([*scenes.planned(), ev.PlanChosen(t=T, plan=weighed)]) as desk:
        await desk.press("p")
        await desk.app.workers.wait_for_complete()
        await desk.settle()
        for word in ("demo-b", "layers 12–21 (10)", "Why not", "demo-a alone", "longest context"):
            assert word in desk.text, desk.text
        await desk.press("escape")
        assert "Why not" not in desk.text


async def test_a_replay_is_moved_by_keys_and_takes_no_prompts(console: Open) -> None:
    events = scenes.everything()

    def playback(bus):
        return scenes.FakePlayback(bus, events)

    async with console([], playback=playback) as desk:
        length = len(events)
        assert f"event {length}/{length}" in desk.text
        assert "▲ file cut short" in desk.text
        await desk.press("left_square_bracket")
        assert f"⏸ paused  ×1  event {length - 1}/{length}" in desk.text
        assert "memory is 92 %" not in desk.text
        await desk.press("right_square_bracket")
        assert "memory is 92 %" in desk.text
        await desk.press("plus", "plus", "minus")
        assert "×2" in desk.text
        await desk.press("l", "i", "x")
        assert desk.intents.calls == []


async def test_a_recording_shows_the_screens_of_the_live_run(console: Open, tmp_path) -> None:
    path = tmp_path / "run.exo"
    async with console([], WIDE) as live:
        recorder = Recorder(live.bus, path)
        for event in scenes.everything():
            live.bus.publish(event)
        recorder.close()
        await live.settle()
        live.app.clear_notifications()
        await live.settle()
        state = live.bus.state
        shown = {name: _shown(live, name) for name in WIDGETS}

    def playback(bus):
        player = Player(session.read(path), bus)
        player.to_end()
        return player

    async with console([], (WIDE[0], WIDE[1] + 2), playback=playback) as replay:
        assert replay.bus.state == state
        for name, text in shown.items():
            assert _shown(replay, name) == text


WIDGETS = ("cluster", "chatlog", "plots", "log")
"""All but the composer, which says in a replay that it is one."""


def _shown(desk, name: str) -> str:
    region = desk.app.screen.query_one(f"#{name}").region
    rows = desk.text.splitlines()[region.y : region.bottom]
    return "\n".join(row[region.x : region.right] for row in rows)


async def test_a_device_without_mlx_is_given_it_after_a_yes(console: Open) -> None:
    lacking = ev.Check("mlx", False, "is not installed", "P in the console installs mlx 0.32.4 there")
    async with console(scenes.planned()) as desk:
        device = next(iter(desk.bus.state.devices))
        desk.bus.publish(ev.DeviceChecked(t=T, device=device, checks=(lacking,)))
        await desk.settle()
        assert "mlx: is not installed; P in the console installs" in desk.text
        assert desk.app.screen.desk.why_not("launch")  # type: ignore[attr-defined]
        await desk.press("g", "P")
        assert f"Make a Python with mlx on {device}" in desk.text
        await desk.press("n")
        assert desk.intents.calls == []
        await desk.press("P", "y")
        assert desk.intents.calls == [("provision", device)]
        desk.bus.publish(ev.DeviceProvisioned(t=T, device=device, how="running", told="Collecting mlx"))
        await desk.settle()
        assert "installing mlx: Collecting mlx" in desk.text
        await desk.press("P")
        assert "Cannot install mlx: that is under way" in desk.text


async def test_the_chosen_device_stays_in_sight(console: Open) -> None:
    async with console([*scenes.planned(), *scenes.many(40)], NARROW) as desk:
        pane = desk.app.screen.query_one(ClusterPane)
        for step, times in ((1, 25), (-1, 20)):
            for _ in range(times):
                pane.action_choose(step)
            await desk.settle()
            assert "›" in desk.text, desk.text


async def test_the_first_device_is_chosen_until_somebody_chooses(console: Open) -> None:
    def found(name: str) -> ev.DeviceSeen:
        return ev.DeviceSeen(t=T, device=name, name=name, address="10.0.0.9", status="ready")

    async def marked(desk: Desk) -> str:
        await desk.settle()
        [row] = [line for line in desk.text.splitlines() if "›" in line]
        return row

    async with console([found("c"), found("d")]) as desk:
        assert " c " in await marked(desk)
        desk.bus.publish(found("b"))
        assert " b " in await marked(desk)
        await desk.press("down")
        desk.bus.publish(found("a"))
        assert " c " in await marked(desk)


async def test_the_card_of_a_plan_whose_device_is_away_says_so(console: Open) -> None:
    weighed = split(scenes.SPEC, hosts(scenes.fold(scenes.planned())), scenes.SPLIT, 4096)
    away = [
        ev.DeviceSeen(t=T, device=name, name=name, address="10.0.0.2", status="lost") for name in scenes.NAMES
    ]
    for gone in (away[1:2], away):
        async with console([*scenes.planned(), ev.PlanChosen(t=T, plan=weighed), *gone]) as desk:
            await desk.press("p")
            await desk.sees("Not compared with others: ")
            assert "layers 12–21 (10)" in desk.text
            await desk.press("escape")


async def test_a_key_that_has_nothing_to_do_says_so(console: Open) -> None:
    waiting = ev.RequestStarted(t=T, request="a", conversation="", prompt="Summarise", source="api")
    async with console([*scenes.planned(), *scenes.run_ready(T)]) as desk:
        await desk.press("s")
        await desk.sees("Cannot end an answer: no answer is being written")
        desk.bus.publish(waiting)
        await desk.settle()
        await desk.press("1", "G", "enter")
        await desk.sees("A request: d ends it, K and J move it")
    async with console([], playback=lambda bus: scenes.FakePlayback(bus, scenes.everything())) as desk:
        for key, verb in {"l": "launch", "n": "start a new chat", "M": "choose a model"}.items():
            await desk.press(key)
            await desk.sees(f"Cannot {verb}: this is a replay")


async def test_the_log_says_when_a_rank_wrote_a_line_however_late_it_is_looked_at(console: Open) -> None:
    events = [*scenes.planned(), *scenes.run_ready(T)]
    line = ev.RankLogged(t=T + 5, run="run-1", rank=1, line="out of memory")
    later = ev.Alert(t=T + 6, level="error", subject="run", text="rank 1 is gone")
    async with console([*events, line, later, ev.Tick(t=T + 500)], NARROW) as desk:
        await desk.press("4")
        rows = [row for row in desk.text.splitlines() if "out of memory" in row or "is gone" in row]
        assert [row.split()[0] for row in rows] == [wall(T + 5), wall(T + 6)]


async def test_what_was_typed_wrong_ends_the_console_with_the_code_for_that() -> None:
    async def connect() -> Intents:
        raise UsageError("there is no model nosuch")

    app = ConsoleApp(Bus(), connect)
    async with app.run_test() as pilot:
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
    assert app.return_code == 2
