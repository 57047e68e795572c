"""The shard board in a real terminal on real devices: by mouse alone, by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.circumstances import standing
from core.plan.edit import Board
from tests.e2e.conftest import COUNT, PROMPT
from tests.e2e.rehearsed import Rehearsed, rehearsed
from tests.e2e.terminal import Terminal, exo_tui, why_not
from tui.hand import Hold, drop

QUESTION = "What is the capital of France?"
SIZE = (120, 40)

in_terminal = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@contextmanager
def demo(home: Path) -> Iterator[Terminal]:
    env = {"HOME": str(home), "EXO_TUI_CACHE": str(home / "cache"), "EXO_TUI_CONFIG": str(home / "config")}
    with Terminal(exo_tui("demo"), SIZE, env) as terminal:
        terminal.sees("3 of 3 ready", "demo-c", "b Board")
        terminal.sees("demo-a → demo-b", "demo-b → demo-c", "demo-c → demo-a")
        yield terminal
        terminal.sees("exit code 0")


def counts(text: str) -> list[int]:
    """Layers of each device of the board, from the top."""
    rows = [row for row in text.splitlines() if row[2:3].isdigit() and " demo-" in row[:12]]
    return [int(row[SIZE[0] - 8 :].split()[0]) for row in rows]


class Mouse:
    """A hand on the board: it finds cells by what is drawn."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal

    def row(self, device: str) -> tuple[int, str]:
        """Number and text of the device's first line."""
        rows = self.terminal.text.splitlines()
        return next((y, row) for y, row in enumerate(rows) if f" {device} " in row[:16])

    def cell(self, device: str, index: int) -> tuple[int, int]:
        """Where one of its layers is drawn, counted from the left, or from the right if negative."""
        y, row = self.row(device)
        starts = [x for x in range(12, SIZE[0] - 8) if row[x] in "█▓◆" and row[x - 1] not in "█▓◆"]
        return starts[index], y

    def cut(self, device: str) -> tuple[int, int]:
        """The boundary behind its layers."""
        y, row = self.row(device)
        return row.rindex("┃"), y

    def name(self, device: str) -> tuple[int, int]:
        y, row = self.row(device)
        return row.index(device) + 1, y

    def becomes(self, *split: int) -> None:
        """Wait for the board to have so many layers on each device."""
        self.terminal.until(lambda text: counts(text) == list(split), f"the split {split}")


@in_terminal
def test_by_mouse_only_from_nothing_to_an_edited_plan_that_answers(home: Path) -> None:
    with demo(home) as terminal:
        mouse = Mouse(terminal)
        terminal.click("b Board")
        terminal.sees("○ automatic", "✔ can be launched")
        a, b, c = counts(terminal.text)

        # A block of layers, to the neighbour it touches;
        x, _ = start = mouse.cell("demo-a", -3)
        terminal.drag(start, (x, mouse.row("demo-b")[0]), release=False)
        terminal.sees(f"▸ layers {a - 3}–{a - 1} → demo-b", "▚ layers", "could be launched")
        terminal.release((x, mouse.row("demo-b")[0]))
        mouse.becomes(a - 3, b + 3, c)
        terminal.sees("◆ by hand")

        # where it cannot be it bounces, and says why;
        x, _ = start = mouse.cell("demo-a", -2)
        terminal.drag(start, (x, mouse.row("demo-c")[0]), release=False)
        terminal.sees("✖ layers", "×")
        terminal.release((x, mouse.row("demo-c")[0]))
        terminal.sees("do not touch demo-c's; a stage holds layers in a row")
        mouse.becomes(a - 3, b + 3, c)

        # let go of by escape in the middle of a drag it goes back;
        x, _ = start = mouse.cell("demo-a", -3)
        terminal.drag(start, (x, mouse.row("demo-b")[0]), release=False)
        terminal.sees("▸ layers", "could be launched")
        terminal.press("Escape")
        terminal.until(lambda text: "▸ layers" not in text, "nothing in hand")
        terminal.release((x, mouse.row("demo-b")[0]))
        mouse.becomes(a - 3, b + 3, c)

        # a boundary;
        x, y = start = mouse.cut("demo-a")
        cell = mouse.cell("demo-b", 2)[0] - mouse.cell("demo-b", 0)[0]
        terminal.drag(start, (x + cell, y))
        mouse.becomes(a - 1, b + 1, c)

        # a device, onto another one, and out of the plan and in again;
        terminal.drag(mouse.name("demo-a"), mouse.name("demo-b"))
        terminal.until(lambda text: "1 demo-b" in text and "2 demo-a" in text, "places exchanged")
        terminal.click("x In/out")
        terminal.sees("Out of the plan", "the automatic plan gives it")
        terminal.drag(mouse.name("demo-a"), mouse.name("demo-c"))
        terminal.until(lambda text: "Out of the plan" not in text and "2 demo-a" in text, "in again")
        terminal.click("u Undo")
        terminal.sees("Out of the plan")
        terminal.click("u Undo")
        mouse.becomes(a - 1, b + 1, c)

        terminal.click("⏎ Launch")
        terminal.sees("● run ready")
        terminal.click("i Ask")
        terminal.sees("Send")
        terminal.paste(QUESTION)
        terminal.sees(QUESTION)
        terminal.click("Send")
        terminal.sees("Paris", "tok/s · TTFT")
        terminal.click("Leave")
        terminal.click("b Board")
        terminal.sees("● this plan runs now")
        terminal.click("esc Back")
        terminal.click("q Quit")
        terminal.sees("A run is live on")
        terminal.click("y stop and quit")


@in_terminal
def test_by_keyboard_only_from_nothing_to_an_edited_plan_that_answers(home: Path) -> None:
    with demo(home) as terminal:
        terminal.press("b")
        terminal.sees("○ automatic", "✔ can be launched")
        a, b, c = counts(terminal.text)
        becomes = Mouse(terminal).becomes
        terminal.press("G", "h", "h", "Space", "Down")
        terminal.sees(f"▸ layers {a - 3}–{a - 1} → demo-b")
        terminal.press("Enter")
        becomes(a - 3, b + 3, c)
        terminal.press("g", "k", "l", "l", "Space", "j", "j", "Enter")
        terminal.sees("do not touch demo-c's")
        terminal.press("]", "]")
        becomes(a - 1, b + 1, c)
        terminal.press("g", "Space", "Down", "Enter")
        terminal.until(lambda text: "1 demo-b" in text and "2 demo-a" in text, "places exchanged")
        terminal.press("u", "C-r", "u")
        becomes(a - 1, b + 1, c)
        terminal.press("Enter")
        terminal.sees("● run ready")
        terminal.press("i")
        terminal.write(QUESTION)
        terminal.press("Enter")
        terminal.sees("Paris", "tok/s · TTFT")
        terminal.press("Escape")
        terminal.until(lambda text: "Leave" not in text, "the composer left")
        terminal.press("b")
        terminal.sees("● this plan runs now")
        terminal.press("]")
        becomes(a, b, c)
        terminal.press("Enter")
        terminal.sees("Stop it and launch this one?")
        terminal.press("y", "1")
        terminal.sees("● run ready", f"demo-a 0–{a - 1}")
        terminal.press("q")
        terminal.sees("A run is live on")
        terminal.press("y")


async def test_whatever_split_the_board_allows_says_what_one_process_says(
    directory, alone, tmp_path: Path
) -> None:
    """Each edit is the plan of the next run, in place of the one before."""
    async with rehearsed(directory("llama"), 3, tmp_path, split=(2, 2, 2), max_tokens=COUNT) as live:
        board = Board(live.bus.state.plan, live.bus.state.model, standing(live.bus.state))
        assert len(board.used) == 3
        sampled = [
            board.move_boundary(0, -1),
            drop(board, Hold(what="card", device="demo-a", target="demo-c")),
            board.drop("demo-b"),
            drop(board, Hold(what="block", device="demo-b", layer=2, target="demo-a")),
        ]
        for edited in sampled:
            live.cluster.take(edited.plan)
            live.cluster.relaunch()
            await _runs(live, edited)
            answer = await live.answered(await live.asked(PROMPT))
            assert list(answer.ids) == alone("llama"), edited.plan.split


async def _runs(live: Rehearsed, edited: Board) -> None:
    state = await live.until(
        lambda state: (
            state.run and state.run.live and state.run.ready and state.run.plan.stages == edited.stages
        ),
        f"a run of {edited.plan.split}",
    )
    assert state.by_hand
    assert [(held.device, held.start, held.end) for held in state.run.certificate.held] == [
        (stage.device, stage.start, stage.end) for stage in edited.stages
    ]
