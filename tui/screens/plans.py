"""Plans that were kept: what each would move and cost, and a name for another one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from core.circumstances import hosts, wires
from core.plan.compare import difference
from core.plan.plan import Forecast, Plan, PlanError
from core.plan.setting import Setting
from core.shelf import Kept, Shelf
from core.state import ClusterState
from tui import keymap
from tui.host import app_of
from tui.screens.listing import ListScreen
from tui.screens.question import Question
from tui.widgets.cells import Cell, table
from tui.widgets.figures import wall
from tui.widgets.picklist import Picklist


def compared(state: ClusterState, plan: Plan, others: list[tuple[str, Plan]]) -> list[str]:
    """What taking `plan` instead of each of the others moves and costs. Takes milliseconds."""
    # numpy and the cost model: not before somebody wants to see this.
    from core.plan.forecast import Pricing

    spec = state.model
    if spec is None:
        return []

    def figures(one: Plan) -> Forecast | None:
        try:
            setting = Setting(spec, hosts(state), wires(state), one.context)
        except PlanError:
            return None
        return Pricing(setting.carrying(one.stages, one.backend)).figures(one.stages)

    if (plan.model, plan.layers) != (spec.name, spec.layers):
        return [f"This plan is for {plan.model} of {plan.layers} layers."]
    said: list[str] = []
    for name, other in others:
        told = difference(spec, other, plan, (figures(other), figures(plan)))
        said += [f"Against {name}", *(f"  {text}" for text in told), ""]
    return said


class PlansScreen(ListScreen[Kept]):
    """The kept plans; the chosen one is compared with the automatic plan, the board, and a marked one."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.PLANS)
    HEADING = "Plans"
    KEYS = "enter loads   space compares   d deletes   / searches   esc closes"
    DEFAULT_CSS = """
    PlansScreen #compared { height: auto; max-height: 60%; margin-top: 1; }
    """

    def __init__(self, shelf: Shelf, state: ClusterState, board: Plan, auto: Plan | None) -> None:
        super().__init__()
        self._shelf = shelf
        self._state = state
        self._others = [("the board", board)]
        if auto is not None:
            self._others.insert(0, ("the automatic plan", auto))
        self._kept: list[Kept] | None = None
        self._marked = ""

    def details(self) -> Sequence[Widget]:
        """What the chosen one would change."""
        return (VerticalScroll(Static("", markup=False), id="compared", can_focus=False),)

    def on_mount(self) -> None:
        """Read the shelf."""
        super().on_mount()
        self._read()

    @work(group="read", exclusive=True)
    async def _read(self) -> None:
        self._kept, wrong = await asyncio.to_thread(self._shelf.load)
        for one in wrong:
            self.notify(one, title="Not a plan", severity="warning", markup=False)
        self.show()

    def show(self) -> None:
        """Those that are searched for."""
        if self._kept is None:
            return
        shown = [one for one in self._kept if all(word in one.name.casefold() for word in self.words)]
        cells: list[list[Cell]] = [
            [
                ("◆" if one.name == self._marked else "", "$text-accent"),
                (one.name, "bold"),
                (" / ".join(f"{stage.device} {stage.layers}" for stage in one.plan.stages), "$muted"),
                (wall(one.saved), "$muted"),
            ]
            for one in shown
        ]
        rows = table(cells, self.picks.room, flex=2, drop=(3,))
        self.picks.show([(one.name, row) for one, row in zip(shown, rows, strict=True)])
        none = "No plan was kept yet: w on the board keeps the one that lies there."
        self.say_nothing("" if shown else "No plan is called that; esc shows all." if self._kept else none)
        self._compare()

    def _chosen(self) -> Kept | None:
        return next((one for one in self._kept or () if one.name == self.picks.chosen), None)

    def on_picklist_moved(self, message: Picklist.Moved) -> None:
        """Compare the one that was moved to."""
        message.stop()
        self._compare()

    @work(group="compare", exclusive=True)
    async def _compare(self) -> None:
        chosen, told = self._chosen(), self.query_one("#compared Static", Static)
        if chosen is None:
            told.update("")
            return
        others = list(self._others)
        others += [
            (f"“{one.name}”", one.plan)
            for one in self._kept or ()
            if one.name == self._marked and one is not chosen and one.plan.layers == chosen.plan.layers
        ][::-1]
        said = await asyncio.to_thread(compared, self._state, chosen.plan, others[::-1])
        rows = [
            Content.styled(text, "bold $text-accent") if text[:1] not in ("", " ") else Content(text)
            for text in said
        ]
        told.update(Content("\n").join(rows))

    def on_picklist_picked(self, message: Picklist.Picked) -> None:
        """Load it."""
        message.stop()
        if (chosen := self._chosen()) is not None:
            self.dismiss(chosen)

    def action_mark(self) -> None:
        """Compare the others with this one."""
        chosen = self._chosen()
        if chosen is not None:
            self._marked = "" if self._marked == chosen.name else chosen.name
            self.show()

    @work(group="remove", exclusive=True)
    async def action_remove(self) -> None:
        """Delete a plan, after a yes."""
        chosen = self._chosen()
        if chosen is None:
            return
        question = Question(f"Delete the plan “{chosen.name}”?", "y delete   n keep")
        if await app_of(self).push_screen_wait(question):
            try:
                await asyncio.to_thread(self._shelf.remove, chosen.name)
            except OSError as error:
                self.notify(f"Cannot delete it: {error}", severity="error", markup=False)
            self._read()
