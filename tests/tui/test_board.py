"""The shard board by keyboard and by a mouse that Pilot moves; every drag has its twin on the keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from core import events as ev
from core.bench.suite import load
from core.bus import Bus
from tests.tui import boards, scenes
from tests.tui.conftest import NARROW, WIDE, Desk, Open
from tui.screens.board import BoardScreen
from tui.widgets.board import BoardTable

T = scenes.T0 + 50
BENCH = ev.BenchStarted(t=T, suite=load("quick"), sha256="ab")
MIDDLE = (120, 40)


class Player:
    """Somebody at the board."""

    def __init__(self, desk: Desk, intents: boards.Keeping) -> None:
        self.desk = desk
        self.intents = intents
        self.bus = desk.bus

    @property
    def text(self) -> str:
        return self.desk.text

    @property
    def screen(self) -> BoardScreen:
        found = next(s for s in self.desk.app.screen_stack if isinstance(s, BoardScreen))
        return found

    @property
    def split(self) -> dict[str, int]:
        """Layers by device, in order."""
        board = self.screen.table.board
        assert board is not None
        return {stage.device: stage.layers for stage in board.stages}

    async def press(self, *keys: str) -> None:
        await self.desk.press(*keys)

    async def figures(self) -> None:
        """Wait until the figures are those of what is shown."""
        await self.until(lambda: "tok/s" in self.text and not self.screen.quotes.busy, "figures")

    async def until(self, so: Callable[[], object], what: str) -> None:
        for _ in range(600):
            if so():
                return
            await self.desk.pilot.pause(0.05)
        raise AssertionError(f"never seen: {what}\n{self.text}")

    def at(self, device: str, layer: int | None = None, *, beside: int = 0) -> tuple[int, int]:
        """Where on the board a layer of a device's row is, or its name."""
        board = self.screen.query_one(BoardTable)
        grid = board.grid
        assert grid is not None
        x = 5 if layer is None else grid.column(layer)
        return x + beside, board.line_of(device)

    async def drag(self, start: tuple[int, int], end: tuple[int, int], *, release: bool = True) -> None:
        """Press, move in a few steps, let go."""
        pilot, board = self.desk.pilot, self.screen.query_one(BoardTable)
        await pilot.mouse_down(board, offset=start)
        for i in (1, 2, 3):
            spot = (start[0] + (end[0] - start[0]) * i // 3, start[1] + (end[1] - start[1]) * i // 3)
            await pilot.hover(board, offset=spot)
        if release:
            await pilot.mouse_up(board, offset=end)
        await self.desk.settle()


Sit = Callable[..., AbstractAsyncContextManager[Player]]


@pytest.fixture
def at_board(console: Open, tmp_path: Path) -> Sit:
    @asynccontextmanager
    async def sit(
        events: list[ev.AnyEvent], size: tuple[int, int] = MIDDLE, *keys: str
    ) -> AsyncIterator[Player]:
        intents = boards.Keeping(tmp_path / "plans")
        async with console(events, size, intents) as desk:
            intents.use(desk.bus)
            await desk.press("b", *keys)
            try:
                yield Player(desk, intents)
            finally:
                await intents.close()

    return sit


# The board


@pytest.mark.parametrize("size", [NARROW, MIDDLE, WIDE], ids=str)
async def test_it_shows_who_has_what_how_fast_and_how_full(at_board: Sit, size: tuple[int, int]) -> None:
    async with at_board(boards.eight(), size) as player:
        await player.figures()
        for word in (
            "○ automatic", "tok/s", "first token", "head-room", "✔ can be launched", "1 studio-1", "0–37",
            "6 studio-6", "92–93", "↓ thunderbolt 350 µs", "↺ ethernet", "GiB free of 96.0 GiB",
            "Out of the plan", "studio-8", "with it", "space Pick", "⏎ Launch",
        ):  # fmt: skip
            assert word in player.text, word


async def test_eight_devices_of_a_plan_fit_the_smallest_terminal(at_board: Sit) -> None:
    memory = {f"studio-{i}": 96.0 for i in range(1, 9)}
    split = dict.fromkeys(memory, 12) | {"studio-1": 10}
    async with at_board(list(boards.cluster(boards.LARGE, memory, split)), NARROW) as player:
        for name in memory:
            assert name in player.text
        assert "82–93" in player.text
        assert "space Pick" in player.text


async def test_an_edit_is_the_clusters_plan_at_once_and_its_figures_follow(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.figures()
        before = player.text
        await player.press("]")
        assert player.split == {"demo-a": 13, "demo-b": 9, "demo-c": 8}
        assert player.bus.state.by_hand
        assert player.bus.state.plan is not None and player.bus.state.plan.split == (13, 9, 8)
        for word in ("◆ by hand", "13 +1", "9 -1"):
            assert word in player.text and word not in before
        await player.until(lambda: "auto " in player.text.splitlines()[1] or "%" in player.text, "figures")
        await player.press("escape")
        assert "· by hand" in player.text
        await player.press("b", "u")
        assert player.split == {"demo-a": 12, "demo-b": 10, "demo-c": 8}
        assert not player.bus.state.by_hand


# Every drag, and its twin


async def test_layers_dragged_to_a_neighbour(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.drag(player.at("demo-a", 9), player.at("demo-b", 9))
        assert player.split == {"demo-a": 9, "demo-b": 13, "demo-c": 8}
        await player.drag(player.at("demo-c", 24), player.at("demo-b", 24))
        assert player.split == {"demo-a": 9, "demo-b": 16, "demo-c": 5}


async def test_layers_carried_to_a_neighbour_by_keys(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.press("G", "left", "left", "space")
        assert "layers 9–11 of demo-a" in player.text
        await player.press("down")
        assert "▸ layers 9–11 → demo-b" in player.text
        assert "Drop" in player.text and "Launch" not in player.text
        await player.press("enter")
        assert player.split == {"demo-a": 9, "demo-b": 13, "demo-c": 8}
        await player.press("j", "l", "g", "l", "l", "l", "space", "k", "space")
        assert player.split == {"demo-a": 9, "demo-b": 16, "demo-c": 5}


async def test_a_boundary_dragged(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        x, y = player.at("demo-a", 12, beside=-1)
        await player.drag((x, y), player.at("demo-a", 15, beside=-1), release=False)
        assert "the boundary at layer 15" in player.text
        assert player.bus.state.plan is not None and player.bus.state.plan.split == (12, 10, 8)
        await player.desk.pilot.mouse_up(player.screen.query_one(BoardTable), offset=(x + 9, y))
        await player.desk.settle()
        assert player.split == {"demo-a": 15, "demo-b": 7, "demo-c": 8}
        # Past the end of the neighbour it stays at its last layer.
        await player.drag(player.at("demo-a", 15, beside=-1), player.at("demo-a", 29))
        assert player.split == {"demo-a": 21, "demo-b": 1, "demo-c": 8}


async def test_a_boundary_moved_by_keys(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.press("]", "]", "]")
        assert player.split == {"demo-a": 15, "demo-b": 7, "demo-c": 8}
        await player.press("}", "}")
        assert player.split == {"demo-a": 21, "demo-b": 1, "demo-c": 8}
        await player.press("}")
        assert "that leaves demo-b without a layer" in player.text
        await player.press("{", "down", "[")
        assert player.split == {"demo-a": 16, "demo-b": 5, "demo-c": 9}


async def test_a_device_dragged_takes_anothers_place(at_board: Sit) -> None:
    async with at_board(boards.eight()) as player:
        await player.drag(player.at("studio-1"), player.at("studio-3"))
        assert list(player.split.items())[:3] == [("studio-3", 38), ("studio-2", 24), ("studio-1", 16)]
        await player.drag(player.at("studio-8"), player.at("studio-2"))
        assert list(player.split)[:3] == ["studio-3", "studio-8", "studio-2"]
        await player.drag(player.at("studio-8"), player.at("studio-7"))
        assert list(player.split)[:3] == ["studio-3", "studio-7", "studio-2"]


async def test_a_device_carried_by_keys_takes_anothers_place(at_board: Sit) -> None:
    async with at_board(boards.eight()) as player:
        await player.press("space", "down", "down", "enter")
        assert list(player.split.items())[:3] == [("studio-3", 38), ("studio-2", 24), ("studio-1", 16)]
        await player.press(*"j" * 5, "space", *"k" * 7, "enter")
        assert list(player.split)[:3] == ["studio-3", "studio-8", "studio-2"]
        await player.press("space", *"j" * 7, "enter")
        assert list(player.split)[:3] == ["studio-3", "studio-7", "studio-2"]


async def test_layers_dragged_to_a_device_out_of_the_plan(at_board: Sit) -> None:
    async with at_board(boards.eight()) as player:
        await player.drag(player.at("studio-1", 34), player.at("studio-7", 34))
        assert list(player.split.items())[:3] == [("studio-1", 34), ("studio-7", 4), ("studio-2", 24)]


async def test_layers_carried_by_keys_to_a_device_out_of_the_plan(at_board: Sit) -> None:
    async with at_board(boards.eight()) as player:
        await player.press("G", "h", "h", "h", "space", *"j" * 6, "enter")
        assert list(player.split.items())[:3] == [("studio-1", 34), ("studio-7", 4), ("studio-2", 24)]


async def test_a_device_dragged_out_and_one_taken_out_by_key(at_board: Sit) -> None:
    async with at_board(boards.eight()) as player:
        x, y = player.at("studio-7")
        await player.drag(player.at("studio-6"), (x, y - 1))
        assert list(player.split) == [f"studio-{i}" for i in range(1, 6)]
        assert "the automatic plan gives it 2 layers" in player.text
        await player.press("u", "g", *"k" * 9, *"j" * 5, "x")
        assert list(player.split) == [f"studio-{i}" for i in range(1, 6)]
        await player.press("x")
        assert "studio-6" in player.split


async def test_what_cannot_be_dropped_bounces_with_the_reason(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.drag(player.at("demo-a", 9), player.at("demo-c", 9), release=False)
        assert "✖ layers 9–11 → demo-c" in player.text
        assert "▹ 2 demo-b" in player.text and "✖ 3 demo-c" in player.text
        assert "×" in player.text.splitlines()[player.screen.query_one(BoardTable).line_of("demo-c") + 3]
        board = player.screen.query_one(BoardTable)
        await player.desk.pilot.mouse_up(board, offset=player.at("demo-c", 9))
        await player.desk.settle()
        assert "layers 9 to 11 do not touch demo-c's; a stage holds layers in a row" in player.text
        assert player.split == {"demo-a": 12, "demo-b": 10, "demo-c": 8}
        assert player.intents.calls == []
        await player.press("G", "space", "j", "j", "enter")
        assert "layer 11 does not touch demo-c's" in player.text
        assert player.intents.calls == []


async def test_escape_puts_back_what_either_hand_holds(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.drag(player.at("demo-a", 9), player.at("demo-b", 9), release=False)
        await player.press("escape")
        assert player.desk.app.mouse_captured is None
        await player.desk.pilot.mouse_up(player.screen.query_one(BoardTable), offset=player.at("demo-b", 9))
        await player.press("G", "space", "j", "escape")
        assert player.split == {"demo-a": 12, "demo-b": 10, "demo-c": 8}
        assert player.intents.calls == []
        assert isinstance(player.desk.app.screen, BoardScreen)


async def test_a_click_chooses_and_moves_nothing(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        board = player.screen.query_one(BoardTable)
        await player.desk.pilot.click(board, offset=player.at("demo-b", 15))
        assert (player.screen.table.chosen, player.screen.table.layer) == ("demo-b", 15)
        await player.desk.pilot.click(board, offset=player.at("demo-c"))
        assert (player.screen.table.chosen, player.screen.table.layer) == ("demo-c", None)
        assert player.intents.calls == []


async def test_figures_are_those_of_where_it_would_be_dropped(at_board: Sit) -> None:
    async with at_board(boards.eight(), WIDE) as player:
        await player.figures()
        before = player.text.splitlines()[1]
        await player.press("G", *"h" * 30, "space", "j")
        await player.until(lambda: player.text.splitlines()[1] != before, "other figures")
        assert "could not be launched: studio-2 is" in player.text
        await player.press("escape")
        await player.until(lambda: player.text.splitlines()[1] == before, "the figures before")


# The other keys


async def test_even_auto_undo_redo(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.press("e")
        assert list(player.split.values()) == [10, 10, 10]
        await player.press("e")
        assert "cannot split evenly: the board is like that already" in player.text
        await player.press("a")
        assert list(player.split.values()) == [12, 10, 8]
        assert not player.bus.state.by_hand
        await player.press("a")
        assert "cannot go back to the automatic plan: this is the automatic plan" in player.text
        await player.press("u")
        assert list(player.split.values()) == [10, 10, 10]
        await player.press("u", "u")
        assert "cannot undo: there is nothing to undo" in player.text
        await player.press("ctrl+r")
        assert list(player.split.values()) == [10, 10, 10]
        await player.press("ctrl+r", "ctrl+r")
        assert "cannot redo: there is nothing to redo" in player.text


async def test_a_tensor_group_and_back(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.press("m")
        assert "· tensor ·" in player.text
        assert "▄" in player.text
        await player.press("]")
        assert "every device holds a share of every layer" in player.text
        await player.press("m")
        assert list(player.split.values()) == [10, 10, 10]


async def test_the_only_device_stays_in(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.press("x", "k", "x", "k", "k", "x")
        assert "is the only device of the plan" in player.text
        await player.press("m")
        assert "a tensor group needs at least two devices" in player.text


async def test_a_lost_device_stays_on_the_board_and_keeps_it_from_launching(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.press("]")
        player.bus.publish(
            ev.DeviceSeen(t=T, device="demo-b", name="demo-b", address="x", status="lost", detail="no route")
        )
        await player.until(lambda: "✖ cannot be launched: demo-b is lost: no route" in player.text, "why not")
        await player.press("enter")
        assert "cannot launch: demo-b is lost: no route" in player.text
        assert ("launch",) not in player.intents.calls
        await player.press("j", "x")
        assert "✔ can be launched" in player.text


async def test_enter_launches_and_asks_when_a_run_is_live(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.press("]", "enter")
        assert player.intents.calls[-1] == ("launch",)
        assert not isinstance(player.desk.app.screen, BoardScreen)
        for event in scenes.run_ready(T):
            player.bus.publish(event)
        await player.press("b")
        assert "another plan runs now" in player.text
        await player.press("enter")
        assert "Stop it and launch this one?" in player.text
        await player.press("n")
        assert ("relaunch",) not in player.intents.calls
        await player.press("enter", "y")
        assert player.intents.calls[-1] == ("relaunch",)


async def test_the_plan_that_runs_is_not_launched_again(at_board: Sit) -> None:
    async with at_board([*scenes.planned(), *scenes.run_ready(T)]) as player:
        assert "● this plan runs now" in player.text
        await player.press("enter")
        assert "cannot launch: this plan runs already" in player.text


async def test_a_dimmed_key_that_is_clicked_says_why(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        row = player.text.splitlines()[-1]
        await player.desk.pilot.click(offset=(row.index("u Undo"), MIDDLE[1] - 1))
        await player.desk.settle()
        assert "cannot undo: there is nothing to undo" in player.text
        await player.desk.pilot.click(offset=(row.index("e Even"), MIDDLE[1] - 1))
        await player.until(lambda: list(player.split.values()) == [10, 10, 10], "split evenly by a click")


async def test_the_card_is_a_key_away_and_shows_the_plan_on_the_board(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.press("]", "p")
        await player.until(lambda: "layers 0–12 (13)" in player.text, "the card")
        await player.press("escape")
        assert isinstance(player.desk.app.screen, BoardScreen)


async def test_without_a_plan_one_is_laid_out_by_hand(at_board: Sit) -> None:
    events = [*scenes.planned(), ev.PlanFailed(t=T, reason="it does not fit")]
    async with at_board(events) as player:
        assert "No plan: it does not fit." in player.text
        await player.press("]")
        assert "cannot move the boundary: it does not fit" in player.text
        await player.press("e")
        assert list(player.split.values()) == [10, 10, 10]
        assert player.bus.state.plan is not None
    async with at_board([]) as player:
        assert "No model is chosen" in player.text
        await player.press("e")
        assert "cannot split evenly: no model is chosen" in player.text


async def test_plans_are_kept_compared_loaded_and_deleted(at_board: Sit) -> None:
    async with at_board(scenes.planned(), WIDE) as player:
        await player.press("o")
        await player.until(lambda: "No plan was kept yet" in player.text, "an empty shelf")
        await player.press("escape", "e", "w", *"even", "enter")
        await player.until(lambda: "Kept as “even”" in player.text, "kept")
        await player.press("u", "]", "w", *"more", "enter")
        await player.until(lambda: "Kept as “more”" in player.text, "kept")
        await player.press("o")
        await player.until(lambda: "Against the automatic plan" in player.text, "compared")
        for word in ("layers 10–11: demo-a → demo-b", "Against the board", "lie elsewhere", "tok/s ("):
            assert word in player.text, word
        await player.press("space", "j")
        await player.until(lambda: "Against “even”" in player.text, "compared with each other")
        await player.press("k", "enter")
        await player.until(lambda: list(player.split.values()) == [10, 10, 10], "loaded")
        await player.press("o", "d", "y")
        await player.until(
            lambda: not [k for k in player.intents.shelf.load()[0] if k.name == "even"], "gone"
        )


async def test_a_replay_shows_the_board_and_changes_nothing(console: Open) -> None:
    events = [*scenes.planned(), ev.PlanTaken(t=T, plan=scenes.plan((20, 5, 5)))]

    def playback(bus: Bus) -> scenes.FakePlayback:
        return scenes.FakePlayback(bus, events)

    async with console([], MIDDLE, playback=playback) as desk:
        await desk.press("b")
        for word in ("■ recorded", "a recording is only looked at", "20 +8"):
            assert word in desk.text
        for word in ("Launch", "Even", "Undo"):
            assert word not in desk.text.splitlines()[-1]
        await desk.press("]")
        assert "cannot move the boundary: this is a replay" in desk.text
        before = desk.bus.state
        board = desk.app.screen.query_one(BoardTable)
        await desk.pilot.mouse_down(board, offset=(30, board.line_of("demo-a")))
        await desk.pilot.hover(board, offset=(30, board.line_of("demo-b")))
        await desk.pilot.mouse_up(board, offset=(30, board.line_of("demo-b")))
        assert desk.bus.state is before
        await desk.press("escape")
        assert "■ recorded" not in desk.text


@pytest.mark.parametrize("theme", ["dark", "light", "high-contrast"])
async def test_every_theme_keeps_the_words(at_board: Sit, theme: str) -> None:
    async with at_board(boards.eight(), NARROW) as player:
        await player.figures()
        before = player.text
        player.desk.app.theme = theme
        await player.desk.settle()
        assert player.text == before


async def test_layers_dragged_out_of_the_plan_can_be_moved_on_by_keys(at_board: Sit) -> None:
    async with at_board(boards.eight()) as player:
        board = player.screen.query_one(BoardTable)
        out = next(y for y, row in enumerate(player.text.splitlines()) if "Out of the plan" in row)
        start = player.at("studio-1", 30)
        await player.drag(start, (start[0], out - board.region.y), release=False)
        assert player.screen.table.hold is not None and player.screen.table.hold.target == ""
        await player.press("up")
        assert player.screen.table.hold.target == "studio-6"


async def test_the_chosen_device_is_on_the_screen_however_many_there_are(at_board: Sit) -> None:
    memory = {f"studio-{i:02}": 96.0 for i in range(1, 17)}
    split = dict.fromkeys(memory, 6) | {"studio-01": 4}
    async with at_board(list(boards.cluster(boards.LARGE, memory, split)), NARROW) as player:
        player.screen.table.choose("studio-15")
        await player.press("down")
        assert player.screen.table.chosen == "studio-16"
        assert "16 studio-16" in player.text, player.text


async def test_a_moved_pick_leaves_space_to_drop(at_board: Sit, config_folder: Path) -> None:
    config_folder.mkdir(exist_ok=True)
    (config_folder / "keys.toml").write_text('board.pick = "v"\n')
    async with at_board(scenes.planned()) as player:
        await player.press("v", "down", "space")
        assert player.screen.table.hold is None
        assert list(player.split) == ["demo-b", "demo-a", "demo-c"]


async def test_nothing_is_laid_under_a_hand_that_holds_something(at_board: Sit) -> None:
    async with at_board(scenes.planned()) as player:
        await player.press("G", "space", "j")
        player.bus.publish(ev.PlanChosen(t=T, plan=scenes.plan((20, 5, 5))))
        await player.desk.settle()
        assert "→ demo-b" in player.text
        await player.press("enter")
        assert player.split == {"demo-a": 11, "demo-b": 11, "demo-c": 8}
        assert [name for name, *_ in player.intents.calls] == ["take"]
    async with at_board(scenes.planned()) as player:
        await player.press("G", "space", "j")
        player.bus.publish(ev.PlanChosen(t=T, plan=scenes.plan((20, 5, 5))))
        await player.press("escape")
        assert player.split == {"demo-a": 20, "demo-b": 5, "demo-c": 5}


async def test_a_device_takes_the_place_of_one_that_is_lost(at_board: Sit) -> None:
    lost = ev.DeviceSeen(t=T, device="demo-b", name="demo-b", address="10.0.0.2", status="lost")
    async with at_board([*scenes.planned(), lost]) as player:
        await player.drag(player.at("demo-c"), player.at("demo-b"))
        assert list(player.split) == ["demo-a", "demo-c", "demo-b"]


async def test_the_board_is_left_alone_while_a_suite_is_measured(at_board: Sit) -> None:
    async with at_board([*scenes.planned(), BENCH]) as player:
        await player.press("]")
        assert "cannot move the boundary: suite quick is being measured" in player.text
        await player.drag(player.at("demo-a", 9), player.at("demo-b", 9))
        assert player.split == {"demo-a": 12, "demo-b": 10, "demo-c": 8}
        assert player.intents.calls == []
