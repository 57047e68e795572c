"""Keys of the shard board, and of the plans that were kept."""

from __future__ import annotations

from textual.binding import Binding

HOLDING = (
    Binding("space", "drop", "Drop", tooltip="Put down what is held", id="board.drop.space"),
    Binding("enter", "drop", "Drop", show=False, tooltip="Put down what is held", id="board.drop"),
    Binding("escape", "put_back", "Put back", tooltip="Put what is held back", id="board.put-back"),
)

_CUT = Binding.Group("Cut", compact=True)

BOARD = (
    Binding("space", "pick", "Pick", tooltip="Pick up the chosen layers or device", id="board.pick"),
    Binding(
        "left_square_bracket",
        "shift(-1)",
        "Boundary left",
        key_display="[",
        group=_CUT,
        tooltip="Move the boundary left by a layer",
        id="board.left",
    ),
    Binding(
        "right_square_bracket",
        "shift(1)",
        "Boundary right",
        key_display="]",
        group=_CUT,
        tooltip="Move the boundary right by a layer",
        id="board.right",
    ),
    Binding(
        "left_curly_bracket",
        "shift(-5)",
        "Left by five",
        key_display="{",
        show=False,
        tooltip="Move the boundary left by five",
        id="board.left5",
    ),
    Binding(
        "right_curly_bracket",
        "shift(5)",
        "Right by five",
        key_display="}",
        show=False,
        tooltip="Move the boundary right by five",
        id="board.right5",
    ),
    Binding("x", "include", "In/out", tooltip="Take the chosen device out, or put it in", id="board.include"),
    Binding("e", "even", "Even", tooltip="As many layers for every device", id="board.even"),
    Binding("a", "auto", "Auto", tooltip="Back to the automatic plan", id="board.auto"),
    Binding("m", "kind", "Mode", tooltip="Pipeline, or a tensor group", id="board.kind"),
    Binding("u", "undo", "Undo", tooltip="Undo the last edit", id="board.undo"),
    Binding("ctrl+r", "redo", "Redo", show=False, tooltip="Redo what was undone", id="board.redo"),
    Binding("w", "keep", "Keep", show=False, tooltip="Keep the plan under a name", id="board.keep"),
    Binding("p", "card", "Card", tooltip="The card of the plan on the board", id="board.card"),
    Binding("o", "plans", "Plans", tooltip="Plans that were kept: compare, load, delete", id="board.plans"),
    Binding("enter", "launch", "Launch", tooltip="Launch; asks when a run is live", id="board.launch"),
    Binding("up,k", "step(-1)", "Up", show=False, tooltip="The device above", id="board.up"),
    Binding("down,j", "step(1)", "Down", show=False, tooltip="The device below", id="board.down"),
    Binding(
        "left,h",
        "along(-1)",
        "Left",
        show=False,
        tooltip="The layer before, or the device",
        id="board.before",
    ),
    Binding("right,l", "along(1)", "Right", show=False, tooltip="The layer after", id="board.after"),
    Binding(
        "home,g", "end(False)", "First", show=False, tooltip="The device, before its layers", id="board.first"
    ),
    Binding(
        "end,G", "end(True)", "Last", show=False, tooltip="The last layer of the device", id="board.last"
    ),
    Binding("escape,b", "back", "Back", tooltip="Back to the console; the plan stays", id="board.back"),
)

PLANS = (
    Binding("space", "mark", "Compare", tooltip="Compare the others with this one", id="plans.mark"),
    Binding("d,delete", "remove", "Delete", tooltip="Delete this plan", id="plans.remove"),
    Binding("slash", "search", "Search", tooltip="Search by name", id="plans.search"),
    Binding("escape,q,o", "leave", "Close", tooltip="End the search, then close", id="plans.close"),
)
