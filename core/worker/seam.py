# pyright: basic
"""Between two stages: the arrays that pass there, side by side in one array [B, L, width]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx

from .layers import Cell, Edge, Elsewhere, Key
from .wiring import Item, Wiring, axis


class Seam:
    """What passes before a certain layer."""

    def __init__(self, items: list[Item]) -> None:
        self._items = items
        self.width = sum(item.width for item in items)
        self.dtype = items[0].dtype if len({item.dtype for item in items}) == 1 else mx.float32

    def pack(self, cell: Cell) -> mx.array:
        """What the last layer of the stage has left in the cell, and what is only passed on."""
        known = cell.outbox | cell.inbox
        flat = []
        for item in self._items:
            value = cell.left[item.output] if item.output is not None else known[item.targets[0]]
            at = axis(item.shape)
            value = mx.moveaxis(mx.moveaxis(value, at - 1, 0), at, 1)
            flat.append(value.reshape(*value.shape[:2], -1).astype(self.dtype))
        return flat[0] if len(flat) == 1 else mx.concatenate(flat, axis=-1)

    def unpack(self, packed: mx.array) -> dict[tuple[int, Key], mx.array]:
        """What goes into the cell of the next stage."""
        found: dict[tuple[int, Key], mx.array] = {}
        begin = 0
        alike = len({item.dtype for item in self._items}) == 1
        for item in self._items:
            at = axis(item.shape)
            value = packed[..., begin : begin + item.width] if item.width < self.width else packed
            begin += item.width
            value = value.reshape(*packed.shape[:2], *item.shape[: at - 1], *item.shape[at + 1 :])
            value = mx.moveaxis(mx.moveaxis(value, 1, at), 0, at - 1)
            value = value if alike else value.astype(item.dtype)
            found |= dict.fromkeys(item.targets, value)
        return found

    @property
    def handed_on(self) -> set[tuple[int, Key]]:
        """What depends on the tokens alone: the first stage finds it in what its later layers are given."""
        return {item.targets[0] for item in self._items if item.output is None}

    @property
    def layers(self) -> set[int]:
        """The layers that take something."""
        return {layer for item in self._items for layer, _ in item.targets}


def cut(layers: list[Any], start: int, end: int, wiring: Wiring) -> tuple[Cell, Seam | None, Seam | None]:
    """Leave only layers [start, end) of the list alive; the cell and both seams. Raises Unsplittable."""
    cell = Cell()
    before = after = None
    if start > 0:
        wiring.check(start)
        before = Seam(wiring.seam(start))
    if end < len(layers):
        wiring.check(end)
        after = Seam(wiring.seam(end))
        cell.wanted = after.handed_on if before is None else set()
    taking: Mapping[int, Any] = dict.fromkeys(before.layers if before else ())
    for index, layer in enumerate(layers):
        starts, leaves = index == start, after is not None and index == end - 1
        if not start <= index < end:
            layers[index] = Elsewhere(layer, cell, index, wiring.main, wiring.arity[index])
        elif starts or leaves or index in taking:
            layers[index] = Edge(layer, cell, index, starts, leaves)
    return cell, before, after
