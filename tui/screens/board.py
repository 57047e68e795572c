"""The shard board: which device runs which layers, moved about like cards."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from msgspec.structs import replace
from textual import work
from textual.actions import parse
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
from textual.widgets import Static

from core.plan.plan import PlanError
from core.shelf import LONGEST, Kept
from core.state import ClusterState
from tui import keymap
from tui.desk import Desk
from tui.edits import LIVE_ONLY, VERBS, change, why_not
from tui.hand import Hold
from tui.host import app_of
from tui.quotes import Quotes
from tui.screens.entry import Entry
from tui.screens.explaining import Explaining
from tui.screens.plan import PlanScreen
from tui.screens.plans import PlansScreen
from tui.screens.question import Question
from tui.widgets.board import BoardTable
from tui.widgets.boardhead import foot_rows, head_rows
from tui.widgets.cells import line
from tui.widgets.keybar import KeyBar
from tui.widgets.rows import Rows

EVERY = 0.5
"""Seconds between looks at the cluster."""
_HOLDING = ("drop", "put_back")


class BoardScreen(Explaining):
    """Every edit is the cluster's plan at once; its figures follow as soon as they are computed."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.HOLDING, *keymap.BOARD]
    VERBS: ClassVar[Mapping[str, str]] = VERBS
    DEFAULT_CSS = """
    BoardScreen { layers: default above; }
    BoardScreen #board-head { height: 3; }
    BoardScreen #board-foot { height: 2; }
    BoardScreen #board-scroll { height: 1fr; overflow-y: auto; }
    BoardScreen #board-empty { padding: 1 2; color: $muted; height: auto; }
    BoardScreen #board-chip {
        layer: above; display: none; width: auto; height: 1; padding: 0 1;
        background: $accent; color: $background; text-style: bold;
    }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.table = desk.table
        self._drawn: ClusterState | None = None
        self.quotes = Quotes(self.table, self.paint)
        self._possible_before: tuple[bool | None, ...] = ()

    def compose(self) -> ComposeResult:
        """Figures, the board, a line about what is in hand, the keys."""
        yield Rows(id="board-head")
        with Vertical(id="board-scroll"):
            yield BoardTable()
            yield Static("", id="board-empty", markup=False)
        yield Rows(id="board-foot")
        yield Static("", id="board-chip", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Follow the cluster."""
        self.table.put_back()
        self.query_one(BoardTable).focus()
        self.call_after_refresh(self.paint)
        self.set_interval(EVERY, self.look)

    async def on_unmount(self) -> None:
        """Nobody looks at figures any more."""
        await self.quotes.close()

    def on_resize(self) -> None:
        """Everything is made for a size."""
        self.call_after_refresh(self.paint)

    # Drawing

    @property
    def replay(self) -> bool:
        """A recording: nothing can be changed."""
        return self.desk.playback is not None

    def look(self) -> None:
        """Draw what the cluster has become, unless it is as it was."""
        if self.desk.state is not self._drawn:
            self.paint()

    def paint(self) -> None:
        """Draw everything as it is now."""
        width, table, board = self.size.width, self.table, self.query_one(BoardTable)
        self._drawn = self.desk.state
        table.follow(self._drawn)
        plan = table.shown
        view = table.view(self.quotes.of(table.board.plan) if table.board else None, self.quotes.left_out)
        empty, head = self.query_one("#board-empty", Static), self.query_one("#board-head", Rows)
        board.display, empty.display = view is not None, view is None
        if view is None or plan is None:
            empty.update(Content(self._nothing()))
            head.show([line((" Board ", "bold reverse $text-accent"), width=width)])
        else:
            figures = self.quotes.of(plan), self.quotes.auto, self.quotes.pending
            head.show(head_rows(table, plan, *figures, self.replay, width))
            board.draw(view, self.query_one("#board-scroll").size.height)
        self.query_one("#board-foot", Rows).show(foot_rows(table, width))
        self.quotes.want()
        possible = (self.table.hold is None, *(self._possible(one.action) for one in keymap.BOARD))
        if possible != self._possible_before:
            self._possible_before = possible
            self.refresh_bindings()

    def _nothing(self) -> str:
        """What is missing for a board, and what to do about it."""
        state = self.desk.state
        if state.model is None:
            return (
                "No model is chosen, so there are no layers to lay out.\n\n"
                "esc goes back to the console; M there shows the models on this computer."
            )
        why = state.plan_failure or "no device is ready yet"
        return f"No plan: {why}.\n\ne lays one out by hand, evenly over every device that is ready."

    def _follow_choice(self) -> None:
        """Scroll to the chosen device."""
        board = self.query_one(BoardTable)
        region = Region(0, max(0, board.line_of(self.table.chosen) - 1), 1, 5)
        self.query_one("#board-scroll").scroll_to_region(region, animate=False)

    # What is possible

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that do nothing now are dimmed; those for what is in hand replace the others."""
        holding = self.table.hold is not None
        if action in _HOLDING:
            return holding
        if action == "back":
            return not holding
        if action not in VERBS:
            return True
        if holding or (self.replay and action in LIVE_ONLY):
            return False
        return True if self.why_not(action, parameters) is None else None

    def why_not(self, action: str, parameters: tuple[object, ...] = ()) -> str | None:
        """The reason an action is not possible now, None where there is none."""
        return why_not(self.desk, action, *_layers(parameters)) if action in VERBS else None

    def _possible(self, written: str) -> bool | None:
        _, action, given = parse(written)
        return self.check_action(action, given)

    def say_not(self, action: str, reason: str) -> None:
        """Where the eyes are: below the board."""
        self.say(f"cannot {VERBS[action]}: {reason}")

    def say(self, text: str) -> None:
        """Say why something did not happen, where the eyes are."""
        self.table.said = text
        self.paint()

    # Keys

    def action_step(self, rows: int) -> None:
        """Another device; with something in hand, over another device."""
        self.table.step(rows)
        self.paint()
        self._follow_choice()

    def action_along(self, layers: int) -> None:
        """Another layer."""
        self.table.along(layers)
        self.paint()

    def action_end(self, last: bool) -> None:
        """The first or last layer."""
        self.table.end(last)
        self.paint()

    def action_pick(self) -> None:
        """Pick up what is chosen."""
        self.table.pick_chosen()
        self.paint()

    def action_drop(self) -> None:
        """Put down what is held."""
        if self.table.drop():
            self._commit()
        self._hide_chip()
        self.paint()

    def action_put_back(self) -> None:
        """Put what is held back where it was."""
        self.query_one(BoardTable).let_go()
        self.table.put_back()
        self._hide_chip()
        self.paint()

    def _edit(self, action: str, layers: int = 1) -> None:
        edit = change(self.table, action, layers)
        if edit is not None and self.table.edit(edit):
            self._commit()
        self.paint()
        self._follow_choice()

    def action_shift(self, layers: int) -> None:
        """Move the chosen boundary."""
        self._edit("shift", layers)

    def action_even(self) -> None:
        """Split evenly; where there is no plan, begin one."""
        if self.table.board is None:
            self.table.begin()
            self._commit()
            self.paint()
        else:
            self._edit("even")

    def action_include(self) -> None:
        """Take the chosen device out, or put it in."""
        self._edit("include")

    def action_kind(self) -> None:
        """Pipeline or tensor group."""
        self._edit("kind")

    def action_undo(self) -> None:
        """Undo."""
        self._edit("undo")

    def action_redo(self) -> None:
        """Redo."""
        self._edit("redo")

    def action_auto(self) -> None:
        """Back to the automatic plan."""
        self._edit("auto")

    def _commit(self) -> None:
        """Make the board the cluster's plan; as the planner has it, it is the planner's again."""
        intents, board = self.desk.intents, self.table.board
        if intents is None or board is None:
            return
        if self.table.is_auto:
            intents.automatic()
        else:
            intents.take(board.plan)

    def action_back(self) -> None:
        """Back to the console."""
        self.dismiss(None)

    def action_card(self) -> None:
        """Show the card of the plan on the board."""
        if self.table.board is not None:
            plan = self.desk.state.plan or self.table.board.plan
            plan = plan if plan.forecast else replace(plan, forecast=self.quotes.of(plan))
            app_of(self).push_screen(PlanScreen(self.desk.state, plan))

    @work(group="launch", exclusive=True)
    async def action_launch(self) -> None:
        """Launch the board; asks when a run is live."""
        intents, run = self.desk.intents, self.desk.state.run
        if intents is None:
            return
        if run is not None and run.live:
            text = "A run with another plan is live. Stop it and launch this one?"
            if not await app_of(self).push_screen_wait(Question(text, "y stop and launch   n leave it")):
                return
            intents.relaunch()
        else:
            intents.launch()
        self.dismiss(None)

    # The shelf

    @work(group="shelf", exclusive=True)
    async def action_keep(self) -> None:
        """Keep the plan under a name."""
        intents, board = self.desk.intents, self.table.board
        if intents is None or board is None:
            return
        name = await app_of(self).push_screen_wait(
            Entry("Keep this plan as", placeholder="a name", longest=LONGEST)
        )
        if name:
            try:
                kept = await asyncio.to_thread(intents.shelf.save, name, board.plan)
            except (OSError, PlanError) as error:
                self.say(f"cannot keep the plan: {error}")
            else:
                self.notify(f"Kept as “{kept.name}”; o shows all", markup=False)

    @work(group="shelf", exclusive=True)
    async def action_plans(self) -> None:
        """Choose among the plans that were kept."""
        intents = self.desk.intents
        if intents is None or self.table.board is None:
            return
        screen = PlansScreen(intents.shelf, self.table.state, self.table.board.plan, self.table.auto)
        kept: Kept | None = await app_of(self).push_screen_wait(screen)
        if kept is not None and self.table.edit(lambda board: board.adopt(kept.plan)):
            self._commit()
        self.paint()

    # Mouse

    def on_board_table_grabbed(self, message: BoardTable.Grabbed) -> None:
        """Take hold: of layers, a boundary, a device."""
        self.table.choose(message.device, message.layer if message.what == "block" else None)
        if reason := self.desk.why_not("take"):
            self.say_not("pick", reason)
            return
        self.table.pick(Hold(what=message.what, device=message.device, layer=message.layer))
        self.paint()

    def on_board_table_carried(self, message: BoardTable.Carried) -> None:
        """Show where it would go."""
        table, before = self.table, self.table.hold
        if before is None:
            return
        if before.what == "cut":
            table.carry_cut(message.cut)
        else:
            table.carry(message.over)
            chip = self.query_one("#board-chip", Static)
            chip.update(Content(f"▚ {table.held}"))
            chip.offset = (min(message.x + 2, self.size.width - 20), min(message.y + 1, self.size.height - 2))  # pyright: ignore[reportAttributeAccessIssue]
            chip.display = True
        if table.hold != before:
            self.paint()

    def on_board_table_released(self, message: BoardTable.Released) -> None:
        """Let go; a click only chooses."""
        self._hide_chip()
        if not message.moved:
            self.table.put_back()
        elif self.table.drop():
            self._commit()
        self.paint()

    def _hide_chip(self) -> None:
        self.query_one("#board-chip", Static).display = False


def _layers(parameters: tuple[object, ...]) -> tuple[int, ...]:
    """How many layers an action is to move, where it says."""
    return tuple(int(str(one)) for one in parameters)
