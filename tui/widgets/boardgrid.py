"""Where things are on the shard board: one place turns layers into columns and back."""

from __future__ import annotations

from bisect import bisect_right

from rich.cells import cell_len

from tui.widgets.planstrip import edges

COUNT = 8
"""Columns at the right, for how many layers a device has."""
_NAME_MOST = 22
_NAME_LEAST = 12


class Grid:
    """Columns of a board `width` wide: names, then a cell a layer, then counts."""

    def __init__(self, width: int, layers: int, names: list[str]) -> None:
        longest = max((cell_len(name) for name in names), default=0) + 5
        self.width = width
        self.left = min(_NAME_MOST if width >= 100 else 16, max(_NAME_LEAST, longest))
        self.strip = max(8, width - self.left - COUNT)
        self.layers = layers
        # Where cells have gaps, cuts are drawn in them; else one column is left for the last one.
        self.roomy = self.strip >= 2 * layers
        self.at = edges(layers, self.strip if self.roomy else self.strip - 1)
        """Column of the strip where each layer begins, and the end."""

    def column(self, layer: int) -> int:
        """Column of the board where a layer begins."""
        return self.left + self.at[layer]

    def cut_column(self, layer: int, *, above: bool) -> int:
        """Column of the strip for the boundary at which `layer` begins, on the stage above it or below."""
        return self.at[layer] if above and not self.roomy else self.at[layer] - 1

    def layer_at(self, x: int) -> int:
        """The layer at a column of the board, the nearest one beside the strip."""
        return min(self.layers - 1, max(0, bisect_right(self.at, x - self.left) - 1))

    def cut_at(self, x: int) -> int:
        """The layer that would begin at a column if a boundary was put there."""
        column = x - self.left
        return min(range(self.layers + 1), key=lambda layer: abs(self.at[layer] - column))
