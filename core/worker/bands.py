# pyright: basic
"""Requests that take their decode steps together on a rank: one pass over the weights for all of them."""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx

from .caches import Caches, Merged
from .stage import Stage


class Band:
    """A few requests, a row each."""

    def __init__(self, stage: Stage, slots: list[int], rows: list[Caches]) -> None:
        self.slots, self.rows = slots, rows
        self._stage = stage
        self._merged = Merged(rows) if stage.merges else None

    def forward(self, given: mx.array) -> mx.array:
        """As Stage.forward, of one token a row: [B, 1] or [B, 1, D]."""
        if self._merged is not None:
            return self._stage.forward(given, self._merged)
        parts = [self._stage.forward(given[at : at + 1], row) for at, row in enumerate(self.rows)]
        return mx.concatenate(parts)

    @property
    def offset(self) -> int:
        """Tokens that all rows have seen."""
        return sum(row.offset for row in self.rows)

    def part(self) -> None:
        """Every request has its caches to itself again."""
        if self._merged is not None:
            self._merged.part()
            self._merged = None


class Bands:
    """The bands of a rank, by the numbers that the first rank gives them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._bands: dict[int, Band] = {}

    def form(self, index: int, caches: Mapping[int, Caches]) -> Band:
        """A band of these slots in this order. Others that had one of them are no more."""
        old = self._bands.pop(index, None)
        if old is not None:
            old.part()
        for slot in caches:
            self.loosen(slot)
        band = self._bands[index] = Band(self._stage, list(caches), list(caches.values()))
        return band

    def loosen(self, slot: int) -> None:
        """Whatever is done next concerns this slot alone."""
        for index, band in list(self._bands.items()):
            if slot in band.slots:
                self._bands.pop(index).part()

    def get(self, index: int) -> Band | None:
        """The band of that number."""
        return self._bands.get(index)
