"""The plan card: what the plan promises, what it costs each device, and what was weighed against it."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from core.plan.plan import Plan
from core.state import ClusterState
from tui import keymap
from tui.widgets.planstrip import series_style
from tui.widgets.scroller import Scroller


def card_lines(state: ClusterState, plan: Plan) -> list[str]:
    """The card of a plan as it compares in this state. Takes up to a second of computing."""
    # numpy and the solver: not before somebody wants to see this.
    from core.circumstances import hosts, wires
    from core.plan.card import card, lines
    from core.plan.setting import Setting

    if state.model is None or plan.forecast is None:
        return list(plan.why)
    return lines(card(Setting(state.model, hosts(state), wires(state), plan.context), plan))


def styled(lines: list[str], plan: Plan) -> Content:
    """The card in the colours of its stages."""
    colours = {name: series_style(i) for i, stage in enumerate(plan.stages) for name in stage.devices}
    rows: list[Content] = []
    colour = ""
    for i, text in enumerate(lines):
        first = text.split()[0] if text.strip() else ""
        if text.startswith("  ") and first in colours and "layers" in text:
            colour = colours[first]
            rows.append(Content.styled(text, f"bold {colour}"))
        elif text.startswith("   ") and colour:
            rows.append(Content.styled(text, colour))
            colour = ""
        else:
            heading = i == 0 or (i > 0 and not lines[i - 1])
            rows.append(Content.styled(text, "bold $text-accent") if heading else Content(text))
    return Content("\n").join(rows)


class PlanScreen(ModalScreen[None]):
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
            dialog.border_subtitle = "esc closes"
            yield Static("comparing with other plans…", id="card", markup=False)

    async def on_mount(self) -> None:
        """Compare in a thread: the screen stays alive meanwhile."""
        self.query_one(Scroller).focus()
        self.run_worker(self._compare())

    async def _compare(self) -> None:
        lines = await asyncio.to_thread(card_lines, self._state, self._plan)
        self.query_one("#card", Static).update(styled(lines, self._plan))
