"""The plan card: what the plan promises, what it costs each device, and what was weighed against it."""

from __future__ import annotations

import asyncio
import textwrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content

from core.plan.plan import Plan
from core.state import ClusterState
from tui import keymap
from tui.screens.closing import Dialog
from tui.widgets.keybar import KeyLine
from tui.widgets.planstrip import series_style
from tui.widgets.rows import Rows
from tui.widgets.scroller import Scroller


def card_lines(state: ClusterState, plan: Plan) -> list[str]:
    """The card of a plan as it compares in this state. Takes up to a second of computing."""
    # numpy and the solver: not before somebody wants to see this.
    from core.circumstances import hosts, wires
    from core.plan import card as cards
    from core.plan.setting import Setting

    if state.model is None or plan.forecast is None:
        return list(plan.why)
    there = hosts(state)
    planned = {device for stage in plan.stages for device in stage.devices}
    if away := sorted(planned - {host.id for host in there}):
        alone = cards.lines(cards.Card(plan=plan, kv_bits=state.model.kv_bits, why_not=(), what_if=()))
        return [*alone, "", f"Not compared with others: {', '.join(away)} cannot be reached"]
    return cards.lines(cards.card(Setting(state.model, there, wires(state), plan.context), plan))


def styled(lines: list[str], plan: Plan, width: int) -> list[Content]:
    """The card in `width` cells, in the colours of its stages. A broken line goes on where it began."""
    colours = {name: series_style(i) for i, stage in enumerate(plan.stages) for name in stage.devices}
    rows: list[Content] = []
    colour = ""
    for i, text in enumerate(lines):
        first, style = text.split()[0] if text.strip() else "", ""
        if text.startswith("  ") and first in colours and "layers" in text:
            colour = colours[first]
            style = f"bold {colour}"
        elif text.startswith("   ") and colour:
            colour, style = "", colour
        elif i == 0 or not lines[i - 1]:
            style = "bold $text-accent"
        under = " " * (len(text) - len(text.lstrip()))
        parts = textwrap.wrap(text, max(20, width), subsequent_indent=under, break_on_hyphens=False) or [""]
        rows += [Content.styled(part, style) for part in parts]
    return rows


class Card(Rows):
    """The card, broken into lines for the width there is."""

    def __init__(self) -> None:
        super().__init__(id="card")
        self._card: tuple[list[str], Plan] | None = None

    def write(self, lines: list[str], plan: Plan) -> None:
        """Show this."""
        self._card = lines, plan
        self.on_resize()

    def on_resize(self) -> None:
        """Break it anew."""
        if self._card is None:
            self.show([Content("comparing with other plans…")])
        elif self.size.width:
            self.show(styled(*self._card, self.size.width))


class PlanScreen(Dialog[None]):
    """The card of the plan that was chosen when it was opened."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.DIALOG, *keymap.PLAN]

    def __init__(self, state: ClusterState, plan: Plan) -> None:
        super().__init__()
        self._state = state
        self._plan = plan

    def compose(self) -> ComposeResult:
        """The card, which scrolls where it must."""
        with Scroller(classes="dialog wide") as dialog:
            dialog.border_title = "Plan"
            yield Card()
            yield KeyLine("esc closes")

    async def on_mount(self) -> None:
        """Compare in a thread: the screen stays alive meanwhile."""
        self.query_one(Scroller).focus()
        self.run_worker(self._compare())

    async def _compare(self) -> None:
        lines = await asyncio.to_thread(card_lines, self._state, self._plan)
        self.query_one(Card).write(lines, self._plan)
