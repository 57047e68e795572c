"""The plan on the table: the board as it lies, what is chosen on it and what is held over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from core.circumstances import hosts, standing
from core.models.spec import ModelSpec
from core.plan.check import problems
from core.plan.edit import TOGETHER, Board, EditError, first_plan
from core.plan.plan import Forecast, Host, Plan, Stage
from core.state import ClusterState
from tui.hand import OUT, Hold, block, drop, nearest_cut, place, seats
from tui.widgets.boardrows import View, chosen_cut

Change = Callable[[Board], Board]
CONTEXT = 4096
"""Of a plan that is begun from nothing."""


class Table:
    """Follows the cluster's plan and edits it. An action that is not possible says why in `said`."""

    def __init__(self) -> None:
        self.state = ClusterState()
        self.board: Board | None = None
        self.chosen = ""
        self.layer: int | None = None
        self.hold: Hold | None = None
        self.said = ""
        self._hosts: dict[str, Host] = {}
        self._devices: dict[str, str] = {}
        self._followed: Plan | None = None

    # The cluster

    @property
    def spec(self) -> ModelSpec | None:
        """The model."""
        return self.state.model

    @property
    def auto(self) -> Plan | None:
        """The automatic plan. A recording from before plans were made by hand has it as the plan."""
        return self.state.auto or (None if self.state.by_hand else self.state.plan)

    @property
    def shown(self) -> Plan | None:
        """The plan that figures are wanted of: as it would be if what is held was let go."""
        board = self.held_board or self.board
        return board.plan if board is not None else None

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps the board as it lies, or would lie, from being launched."""
        if self.shown is None or self.spec is None:
            return ()
        return problems(self.spec, self._hosts, self._devices, self.shown)

    def follow(self, state: ClusterState) -> None:
        """Take over what the cluster has become; a plan that was made elsewhere replaces the board."""
        self.state = state
        self._hosts = {host.id: host for host in hosts(state)}
        self._devices = standing(state)
        plan, spec = state.plan, state.model
        if self.hold is not None and plan is not None:
            plan = self._followed  # no other plan is laid under the hand that holds something
        new = plan is not None and (self._followed is None or not _same(plan, self._followed))
        same = plan is not None and self.board is not None and _same(plan, self.board.plan)
        if plan is not None and spec is not None and new and not same:
            past = self.board.past if self.board and self.board.plan.model == plan.model else ()
            self._lay(Board(plan, spec, self._devices, past=past))
            self.hold = None
        if plan is None and not state.by_hand and self._followed is not None:
            self.board = None
        self._followed = plan if spec is not None else None
        if self.board is not None:
            self.board = self.board.among(self._devices)

    def view(self, forecast: Forecast | None, left_out: Mapping[str, str]) -> View | None:
        """What there is to show, with what is predicted of it; None without a model and a plan."""
        if self.board is None or self.spec is None:
            return None
        return View(
            state=self.state,
            board=(self.held_board if self.hold and self.hold.what == "cut" else None) or self.board,
            spec=self.spec,
            hosts=self._hosts,
            auto=self.auto,
            chosen=self.chosen,
            layer=self.layer,
            hold=self.hold,
            forecast=forecast,
            left_out=left_out,
        )

    @property
    def held_board(self) -> Board | None:
        """The board as it would be if what is held was dropped here; None where it cannot be."""
        if self.board is None or self.hold is None:
            return None
        try:
            dropped = drop(self.board, self.hold)
        except EditError:
            return None
        return dropped

    # Choosing

    def choose(self, device: str, layer: int | None = None) -> None:
        """Make a device the chosen one, and a layer of its own."""
        self.chosen, self.layer = device, layer
        self._keep_choice()

    def step(self, rows: int) -> None:
        """Choose the device so many rows further down; with something in hand, hold it over that one."""
        if self.board is None:
            return
        if self.hold is not None and self.hold.what != "cut":
            order: list[str] = seats(self.board)
            if self.hold.what == "card" or self.hold.target == OUT:  # a mouse brings layers there, too
                order.insert(len(self.board.used), OUT)
            at = order.index(self.hold.device if self.hold.target is None else self.hold.target)
            self.carry(order[min(len(order) - 1, max(0, at + rows))])
            return
        order = seats(self.board)
        at = order.index(self.chosen) if self.chosen in order else 0
        self.choose(order[min(len(order) - 1, max(0, at + rows))], self.layer)

    def along(self, layers: int) -> None:
        """Choose the layer so many further on; before the first one of a device is its card."""
        stage = self._stage()
        if stage is None or self.board is None:
            return
        if self.hold is not None and self.hold.what == "card":
            return
        at = stage.start - 1 if self.layer is None else self.layer
        least = stage.start if self.hold is not None else stage.start - 1
        at = min(stage.end - 1, max(least, at + layers))
        self.layer = None if at < stage.start else at
        if self.hold is not None and self.layer is not None:
            self.hold = replace(self.hold, layer=self.layer)
            self.said = ""

    def end(self, last: bool) -> None:
        """Choose the last layer of the device, or the first."""
        stage = self._stage()
        if stage is not None:
            self.along(stage.layers if last else -stage.layers)

    def _stage(self) -> Stage | None:
        at = place(self.board, self.chosen) if self.board is not None else None
        return None if at is None or self.board is None else self.board.stages[at]

    def _keep_choice(self) -> None:
        """The choice is a device of the board, and a layer that is on it."""
        if self.board is None:
            return
        order = seats(self.board)
        if self.chosen not in order:
            self.chosen = order[0]
        stage = self._stage()
        if stage is None or self.board.together:
            self.layer = None
        elif self.layer is not None:
            self.layer = min(stage.end - 1, max(stage.start, self.layer))

    # The hand

    def pick(self, hold: Hold) -> None:
        """Pick something up."""
        self.said = ""
        if self.board is None:
            return
        if hold.what != "card" and self.board.together:
            self.said = TOGETHER
            return
        self.hold = hold

    def pick_chosen(self) -> None:
        """Pick up what is chosen: the device's card, or its layers from the chosen one on."""
        if self.layer is None:
            self.pick(Hold(what="card", device=self.chosen))
        else:
            self.pick(Hold(what="block", device=self.chosen, layer=self.layer))

    def carry(self, target: str | None) -> None:
        """Hold it over a device, over `OUT`, or over nothing."""
        if self.hold is None or self.board is None or target == self.hold.target:
            return
        self.said = ""
        self.hold = replace(self.hold, target=target)

    def carry_cut(self, layer: int) -> None:
        """Hold a boundary at a layer, or the nearest where it can be."""
        if self.hold is not None and self.board is not None:
            self.hold = replace(self.hold, layer=nearest_cut(self.board, self.hold.device, layer))

    def put_back(self) -> None:
        """Nothing is held any more, and nothing has changed."""
        self.hold, self.said = None, ""

    def drop(self) -> bool:
        """Put down what is held. Where it cannot be it goes back, with the reason."""
        hold, self.hold = self.hold, None
        if hold is None or self.board is None:
            return False
        if hold.what != "cut" and hold.target in (None, hold.device):
            self.said = ""
            return False
        if hold.what == "cut" and hold.layer == self.board.stages[place(self.board, hold.device) or 0].end:
            return False
        dropped = self.edit(lambda board: drop(board, hold))
        if dropped and hold.what == "block" and hold.target:
            self.choose(hold.target, hold.layer)
        return dropped

    @property
    def verdict(self) -> str:
        """Why what is held cannot be dropped where it is; empty where it can."""
        if self.board is None or self.hold is None:
            return ""
        try:
            drop(self.board, self.hold)
        except EditError as error:
            return str(error)
        return ""

    @property
    def held(self) -> str:
        """What is held, in words."""
        if self.board is None or self.hold is None:
            return ""
        if self.hold.what == "card":
            return self.hold.device
        if self.hold.what == "cut":
            return f"the boundary at layer {self.hold.layer}"
        start, end = block(self.board, self.hold)
        return f"layers {start}–{end - 1}" if end - start > 1 else f"layer {start}"

    # Edits

    def edit(self, change: Change) -> bool:
        """Change the board; False, and the reason in `said`, where that is not possible."""
        self.said = ""
        if self.board is None:
            self.said = "there is no plan on the board"
            return False
        try:
            self._lay(change(self.board))
        except EditError as error:
            self.said = str(error)
            return False
        return True

    @property
    def _ready(self) -> list[str]:
        return [name for name, reason in sorted(self._devices.items()) if not reason]

    @property
    def why_not_begin(self) -> str | None:
        """Why no plan can be laid out where there is none; None when it can."""
        if self.spec is None:
            return "no model is chosen"
        return None if self._ready else "no device is ready"

    def begin(self) -> None:
        """Lay out a plan where there is none: every device that could be in one, split evenly."""
        assert self.spec is not None and self._ready
        self._lay(Board(first_plan(self.spec, self._ready, CONTEXT), self.spec, self._devices))

    def shifted(self, layers: int) -> Change:
        """Moving the chosen boundary."""

        def change(board: Board) -> Board:
            at = chosen_cut(board, self.chosen)
            if board.together:
                raise EditError(TOGETHER)
            if at is None:
                one = "one device alone has no boundary to move"
                raise EditError(one if len(board.stages) == 1 else f"{self.chosen} has no layers")
            left, right = board.stages[at], board.stages[at + 1]
            # By as much as there is, where there is not as much as asked for.
            most = right.layers - 1 if layers > 0 else left.layers - 1
            return board.move_boundary(at, max(-most, min(most, layers)) or layers)

        return change

    def toggled(self, board: Board) -> Board:
        """Taking the chosen device out, or putting it in."""
        return board.drop(self.chosen) if self.chosen in board.used else board.add(self.chosen)

    def as_auto(self, board: Board) -> Board:
        """Laying the automatic plan."""
        if self.auto is None:
            raise EditError(self.state.plan_failure or "there is no automatic plan yet")
        if not self.state.by_hand:
            raise EditError("this is the automatic plan")
        return board if _same(self.auto, board.plan) else board.adopt(self.auto)

    @property
    def is_auto(self) -> bool:
        """The board lies as the automatic plan has it."""
        return self.board is not None and self.auto is not None and _same(self.auto, self.board.plan)

    def why_not(self, change: Change) -> str | None:
        """Why a change is not possible now; None when it is."""
        if self.board is None:
            return self.state.plan_failure or "there is no plan on the board"
        try:
            change(self.board)
        except EditError as error:
            return str(error)
        return None

    def _lay(self, board: Board) -> None:
        self.board = board
        self._keep_choice()


def other_kind(board: Board) -> Board:
    """The board as a tensor group, or as a pipeline again."""
    return board.to("pipeline" if board.kind == "tensor" else "tensor")


def _same(one: Plan, other: Plan) -> bool:
    return (one.model, one.stages, one.context) == (other.model, other.stages, other.context)
