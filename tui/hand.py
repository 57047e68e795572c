"""What is held over the shard board, by mouse or by keyboard, and what comes of dropping it. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from core.plan.edit import Board, EditError

OUT = ""
"""The place beside the board: a card dropped there leaves the plan."""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Something picked up.

    A *block* is the layers from `layer` to the end of its stage on the way down the board, or to the start
    on the way up. A *card* is a device with its place. A *cut* is the boundary behind the device's stage.
    """

    what: Literal["block", "card", "cut"]
    device: str
    layer: int = 0
    """Where a block was taken; where a cut is held."""
    target: str | None = None
    """The device it is held over, or `OUT`; None over nothing."""


def seats(board: Board) -> list[str]:
    """Devices from the top of the board to the bottom: those of the plan, then the others."""
    return [*board.used, *board.spare]


def place(board: Board, device: str) -> int | None:
    """Number of the stage a device is part of."""
    return next((i for i, stage in enumerate(board.stages) if device in stage.devices), None)


def block(board: Board, hold: Hold) -> tuple[int, int]:
    """The layers `[start, end)` that are held; those of the nearer end while it is not clear which."""
    at = place(board, hold.device)
    assert at is not None
    stage = board.stages[at]
    down = hold.layer - stage.start >= stage.end - 1 - hold.layer
    if hold.target is not None and hold.target not in stage.devices:
        order = seats(board)
        down = hold.target == OUT or order.index(hold.target) > order.index(hold.device)
    return (hold.layer, stage.end) if down else (stage.start, hold.layer + 1)


def drop(board: Board, hold: Hold) -> Board:
    """The board with what is held put down where it is. Raises EditError."""
    match hold.what:
        case "cut":
            at = place(board, hold.device)
            assert at is not None
            return board.move_boundary(at, hold.layer - board.stages[at].end)
        case "block":
            if not hold.target or hold.target == hold.device:
                raise EditError("layers are dropped on another device")
            return board.move_block(*block(board, hold), hold.target)
        case "card":
            return _drop_card(board, hold)


def _drop_card(board: Board, hold: Hold) -> Board:
    at, target = place(board, hold.device), hold.target
    if target is None or target == hold.device:
        raise EditError("a device is dropped on another one")
    over = place(board, target) if target else None
    if at is None:
        if over is None:
            raise EditError(f"{hold.device} is not in the plan; drop it on a device that is")
        return board.add(hold.device, over)
    if target == OUT or (over is None and board.devices.get(target)):
        return board.drop(hold.device)
    return board.swap(hold.device, target)


def refusals(board: Board, hold: Hold) -> dict[str, str]:
    """For every device what is held can be brought to: why it cannot be dropped there, empty where it can."""
    found: dict[str, str] = {}
    for target in seats(board):
        if target != hold.device:
            try:
                drop(board, msgspec.structs.replace(hold, target=target))
                found[target] = ""
            except EditError as error:
                found[target] = str(error)
    return found


def nearest_cut(board: Board, device: str, layer: int) -> int:
    """The layer nearest to `layer` at which the boundary behind a device's stage can be."""
    at = place(board, device)
    assert at is not None
    low, high = board.stages[at].start + 1, board.stages[at + 1].end - 1
    return min(high, max(low, layer))
