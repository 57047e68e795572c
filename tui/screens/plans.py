"""Plans that were kept: what each would move and cost, and a name for another one."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from core.circumstances import hosts, wires
from core.plan.compare import difference
from core.plan.plan import Forecast, Plan, PlanError
from core.plan.setting import Setting
from core.shelf import LONGEST, Kept, Shelf
from core.state import ClusterState
from tui import keymap
from tui.host import app_of
from tui.screens.question import Question
from tui.widgets.figures import wall


class NameScreen(ModalScreen[str | None]):
    """Asks for a name to keep a plan under."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.NAME)

    def compose(self) -> ComposeResult:
        """A line to write in."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Keep this plan as"
            dialog.border_subtitle = "enter keeps it, esc does not"
            name = Input(placeholder="a name", max_length=LONGEST)
            name.cursor_blink = False
            yield name

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The name was written."""
        event.stop()
        self.dismiss(event.value.strip() or None)


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
        return Pricing(setting).figures(one.stages)

    if (plan.model, plan.layers) != (spec.name, spec.layers):
        return [f"This plan is for {plan.model} of {plan.layers} layers."]
    said: list[str] = []
    for name, other in others:
        told = difference(spec, other, plan, (figures(other), figures(plan)))
        said += [f"Against {name}", *(f"  {text}" for text in told), ""]
    return said


class PlansScreen(ModalScreen[Kept | None]):
    """The kept plans; the chosen one is compared with the automatic plan, the board, and a marked one."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.PLANS)
    DEFAULT_CSS = """
    PlansScreen OptionList { height: auto; max-height: 8; background: $surface; border: none; padding: 0; }
    PlansScreen #compared { height: auto; max-height: 14; margin-top: 1; }
    """

    def __init__(self, shelf: Shelf, state: ClusterState, board: Plan, auto: Plan | None) -> None:
        super().__init__()
        self._shelf = shelf
        self._state = state
        self._others = [("the board", board)]
        if auto is not None:
            self._others.insert(0, ("the automatic plan", auto))
        self._kept: list[Kept] = []
        self._marked = ""

    def compose(self) -> ComposeResult:
        """Names above, what each would change below."""
        with Vertical(classes="dialog wide") as dialog:
            dialog.border_title = "Plans"
            dialog.border_subtitle = "enter loads · space compares with it · d deletes · esc closes"
            yield OptionList()
            with VerticalScroll(id="compared", can_focus=False):
                yield Static("", markup=False)

    async def on_mount(self) -> None:
        """Read the shelf."""
        await self._read()
        self.query_one(OptionList).focus()

    async def _read(self) -> None:
        self._kept, wrong = await asyncio.to_thread(self._shelf.load)
        for one in wrong:
            self.notify(one, title="Not a plan", severity="warning", markup=False)
        self._list()
        if not self._kept:
            self.query_one("#compared Static", Static).update(
                "No plan was kept yet: w on the board keeps the one that lies there."
            )

    def _list(self) -> None:
        names = self.query_one(OptionList)
        at = names.highlighted
        names.clear_options()
        for one in self._kept:
            split = " / ".join(f"{stage.device} {stage.layers}" for stage in one.plan.stages)
            mark = "◆" if one.name == self._marked else " "
            told = Content.assemble(
                (f"{mark} {one.name}", "bold"), (f"   {split}   {wall(one.saved)}", "$muted")
            )
            names.add_option(Option(told))
        if self._kept:
            names.highlighted = min(at or 0, len(self._kept) - 1)

    def _chosen(self) -> Kept | None:
        at = self.query_one(OptionList).highlighted
        return self._kept[at] if at is not None and at < len(self._kept) else None

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Compare the one that was moved to."""
        event.stop()
        self._compare()

    @work(group="compare", exclusive=True)
    async def _compare(self) -> None:
        chosen = self._chosen()
        if chosen is None:
            return
        others = list(self._others)
        others += [
            (f"“{one.name}”", one.plan)
            for one in self._kept
            if one.name == self._marked and one is not chosen and one.plan.layers == chosen.plan.layers
        ][::-1]
        said = await asyncio.to_thread(compared, self._state, chosen.plan, others[::-1])
        rows = [
            Content.styled(text, "bold $text-accent") if text[:1] not in ("", " ") else Content(text)
            for text in said
        ]
        self.query_one("#compared Static", Static).update(Content("\n").join(rows))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Load it."""
        event.stop()
        self.dismiss(self._kept[event.option_index])

    def action_load(self) -> None:
        """Load the chosen one."""
        if (chosen := self._chosen()) is not None:
            self.dismiss(chosen)

    def action_move(self, step: int) -> None:
        """The next name, or the one before."""
        names = self.query_one(OptionList)
        if step > 0:
            names.action_cursor_down()
        else:
            names.action_cursor_up()

    def action_mark(self) -> None:
        """Compare the others with this one."""
        chosen = self._chosen()
        if chosen is not None:
            self._marked = "" if self._marked == chosen.name else chosen.name
            self._list()

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
            await self._read()
