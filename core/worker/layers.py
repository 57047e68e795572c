# pyright: basic
"""What makes one stage out of a whole model, without a line about any family.

The model keeps its full list of layers and its own forward. Layers that live elsewhere become Hollow; at the
first and last ones here, Edges, hidden states come in and go out. Everything before and after is built into
the lazy graph but never evaluated, hence never read from disk.
"""

from __future__ import annotations

import operator
from typing import Any

import mlx.core as mx
import mlx.nn as nn

Key = int | str  # of an argument: its place or its name


class Refused(Exception):
    """This rank cannot do its part of this plan, however often it is asked."""


class Unsplittable(Refused):
    """This family cannot be cut into stages, or not here; the text says why."""


class Cell:
    """What comes into the stage and leaves it in one pass."""

    def __init__(self) -> None:
        self.inbox: dict[tuple[int, Key], mx.array] = {}  # by layer and argument
        self.outbox: dict[tuple[int, Key], mx.array] = {}  # what later layers were to be given
        self.wanted: set[tuple[int, Key]] = set()  # of those
        self.left: list[Any] = []  # the outputs of the last layer here
        self.eager = False  # whether passes are to be computed, not just looked at

    def clear(self) -> None:
        """Let go of one pass."""
        self.inbox, self.outbox, self.left = {}, {}, []


class Hollow(nn.Module):
    """Answers every question as the original layer would."""

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        # Not a child, so that nobody walking the parameters finds it.
        object.__setattr__(self, "_original", original)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(object.__getattribute__(self, "_original"), name)


class Elsewhere(Hollow):
    """A layer that lives elsewhere: hands its argument `main` on, in a tuple of `arity` if that is not 0.

    What it was to be given besides is noted, if a later stage will want it.
    """

    def __init__(self, original: nn.Module, cell: Cell, index: int, main: Key, arity: int) -> None:
        super().__init__(original)
        object.__setattr__(self, "_cell", cell)
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_main", main)
        object.__setattr__(self, "_arity", arity)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        cell, index = self._cell, self._index
        if cell.wanted:
            given = {(index, key): value for key, value in [*enumerate(args), *kwargs.items()]}
            cell.outbox |= {where: value for where, value in given.items() if where in cell.wanted}
        x = kwargs[self._main] if isinstance(self._main, str) else args[self._main]
        return (x, *[None] * (self._arity - 1)) if self._arity else x


class Edge(Hollow):
    """A local layer whose arguments come from the cell where it has any, and whose outputs it may note.

    One that `starts` the stage is computed while the graph of the layers behind it is still being built.
    """

    def __init__(self, original: nn.Module, cell: Cell, index: int, starts: bool, leaves: bool) -> None:
        super().__init__(original)
        object.__setattr__(self, "_cell", cell)
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_starts", starts)
        object.__setattr__(self, "_leaves", leaves)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        inbox, index = self._cell.inbox, self._index
        if inbox:
            args = tuple(inbox.get((index, place), one) for place, one in enumerate(args))
            kwargs = {name: inbox.get((index, name), one) for name, one in kwargs.items()}
        y = self._original(*args, **kwargs)
        parts = y if isinstance(y, tuple) else (y,)
        if self._starts and self._cell.eager:
            mx.async_eval([one for one in parts if isinstance(one, mx.array)])
        if self._leaves:
            # Handles of their own: what follows the layers may assign into these arrays.
            self._cell.left = [mx.stop_gradient(one) if isinstance(one, mx.array) else one for one in parts]
        return y


def layers_of(model: nn.Module) -> list[Any]:
    """The model's own list of layers, to be changed in place; empty when it is not one list."""
    wanted = list(getattr(model, "layers", None) or ())  # some models answer with a copy, or with more
    pending: list[Any] = [model]
    found: list[Any] = []
    while pending:
        for child in dict.values(pending.pop()):  # `children` would give copies of lists
            if isinstance(child, nn.Module):
                pending.append(child)
            elif isinstance(child, list) and len(found) < len(child) <= len(wanted):
                found = child if all(map(operator.is_, child, wanted)) else found
    return found
