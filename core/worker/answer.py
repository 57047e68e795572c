# pyright: basic
"""What the last rank sends back for the tokens it has chosen.

One token without more: its id is the frame's `number`. Else a tensor: ids [1, B, 1], a row each, or, where
log probabilities were asked for, (row, id, log probability) [1, N, 3], of each row the chosen token first.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .sample import Pick
from .wire import Flag, Frame, Op


def answer(step: Frame, picks: list[Pick]) -> Frame:
    """The TOKEN for a STEP."""
    tensor = None
    if any(pick.told is not None for pick in picks):
        lines = [
            (row, float(token), value)
            for row, pick in enumerate(picks)
            for token, value in (pick.told if pick.told is not None else [(pick.token, 0.0)])
        ]
        tensor = mx.array([lines], mx.float32)
    elif len(picks) > 1:
        tensor = mx.array([pick.token for pick in picks], mx.int32).reshape(1, -1, 1)
    flags = step.flags & Flag.MERGED
    return Frame(Op.TOKEN, step.slot, picks[0].token, flags=flags, chain=step.chain, tensor=tensor)


def picks_of(frame: Frame, rows: int) -> list[Pick]:
    """The tokens in an answer for so many rows; rows that asked for no log probabilities may have some."""
    if frame.tensor is None:
        return [Pick(frame.number)][:rows]
    if frame.tensor.dtype == mx.int32:
        ids: Any = frame.tensor.reshape(-1).tolist()
        return [Pick(one) for one in ids]
    lines: Any = frame.tensor.reshape(-1, 3).tolist()
    told: list[list[tuple[int, float]]] = [[] for _ in range(rows)]
    for row, token, value in lines:
        told[int(row)].append((int(token), value))
    return [Pick(one[0][0], one) for one in told]
