"""What the keys of the shard board change, and why some of them cannot just now."""

from __future__ import annotations

from core.plan.edit import Board
from tui.desk import Desk
from tui.table import Change, Table, other_kind

CHANGES = ("shift", "even", "include", "kind", "undo", "redo", "auto")
"""Actions that make a new board of the one there is."""
LIVE_ONLY = (*CHANGES, "launch", "pick", "drop", "keep", "plans")
"""Actions that make no sense in a recording."""
VERBS = {
    "shift": "move the boundary",
    "even": "split evenly",
    "include": "take the device in or out",
    "kind": "change the mode",
    "undo": "undo",
    "redo": "redo",
    "auto": "go back to the automatic plan",
    "launch": "launch",
    "pick": "pick anything up",
    "keep": "keep the plan",
    "plans": "load a plan",
    "card": "show the card",
}
"""Every action that may not be possible, in words."""


def change(table: Table, action: str, layers: int = 1) -> Change | None:
    """The edit an action makes; None for an action that makes none."""
    return {
        "shift": table.shifted(layers),
        "even": Board.split_evenly,
        "include": table.toggled,
        "kind": other_kind,
        "undo": Board.undo,
        "redo": Board.redo,
        "auto": table.as_auto,
    }.get(action)


def why_not(desk: Desk, action: str, layers: int = 1) -> str | None:
    """The reason an action of the board is not possible now, None when it is."""
    table, state = desk.table, desk.state
    if action in LIVE_ONLY and (reason := desk.why_not("take")):
        return reason
    if table.board is None:
        if action == "even":
            return table.why_not_begin
        nothing = state.plan_failure or "there is no plan on the board"
        return nothing if action in VERBS else None
    if edit := change(table, action, layers):
        return table.why_not(edit)
    if action != "launch":
        return None
    if problems := table.problems:
        return problems[0]
    run = state.run if state.run is not None and state.run.live else None
    return "this plan runs already" if run and run.plan.stages == table.board.stages else None
