# pyright: basic
"""What makes one stage out of a whole model, without a line about any family.

The model keeps its full list of layers and its own forward. Layers that live elsewhere become Hollow; the
first and last ones here become Edges, where hidden states come in and go out. Everything before and after is
built into the lazy graph but never evaluated, hence never read from disk.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

INNER = ("model", "language_model.model", "transformer", "backbone")


class Unsplittable(Exception):
    """This family cannot be cut into stages; the text says why."""


class Cell:
    """Where hidden states [B, L, D] enter (`given`) and leave (`taken`) the stage."""

    def __init__(self) -> None:
        self.given: mx.array | None = None
        self.taken: mx.array | None = None
        self.probe = (
            False  # take zeros shaped like what would have come in: its shape is known without reading
        )

    def take(self) -> mx.array:
        """What left the stage in this pass. Raises Unsplittable when the last layer here was never called."""
        if self.taken is None:
            raise Unsplittable("its forward does not go through its list of layers")
        return self.taken


class Hollow(nn.Module):
    """A layer that lives elsewhere: hands its input on, answers every question as the original would."""

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        # Not a child, so that nobody walking the parameters finds it.
        object.__setattr__(self, "_original", original)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(object.__getattribute__(self, "_original"), name)

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return x


class Edge(Hollow):
    """A local layer whose input comes from the cell (`enters`), or whose output goes to it (`leaves`)."""

    def __init__(self, original: nn.Module, cell: Cell, enters: bool, leaves: bool) -> None:
        super().__init__(original)
        object.__setattr__(self, "_cell", cell)
        object.__setattr__(self, "_enters", enters)
        object.__setattr__(self, "_leaves", leaves)

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        cell: Cell = self._cell
        if self._enters:
            if not isinstance(x, mx.array):
                raise Unsplittable("more than one array goes from layer to layer")
            if cell.probe:
                x = mx.zeros(x.shape, x.dtype)
            elif cell.given is not None:
                x = cell.given
        y = self._original(x, *args, **kwargs)
        if not isinstance(y, mx.array):
            raise Unsplittable("its layers return more than the hidden states")
        if self._leaves:
            cell.taken = y
        return y


def layers_of(model: nn.Module) -> list[Any]:
    """The model's own list of layers, to be changed in place; empty when it is under no known name."""
    for path in INNER:
        found: Any = model
        for part in path.split("."):
            found = getattr(found, part, None)
        layers = getattr(found, "layers", None)
        if isinstance(layers, list):
            return layers
    return []


def cut(layers: list[Any], start: int, end: int, cell: Cell) -> None:
    """Leave only layers [start, end) of the list alive."""
    for index in range(len(layers)):
        if not start <= index < end:
            layers[index] = Hollow(layers[index])
    first, last = start > 0, end < len(layers)
    if first or last:
        for index in {start, end - 1}:
            layers[index] = Edge(layers[index], cell, first and index == start, last and index == end - 1)
