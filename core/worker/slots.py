# pyright: basic
"""Rank 0's book of KV caches: which tokens each holds, and which may go for another."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from .caches import Caches

MOST = 8  # caches kept at a time
BLOCK = 256  # tokens by which mlx_lm's caches grow, however few are needed
WORTH = 0.5  # what a cache and a prompt must share, of the shorter of the two, for the one to serve the other


@dataclass
class Slot:
    """One KV cache and the tokens in it. `reserved` is what its request may take; 0 when idle."""

    index: int
    caches: Caches
    tokens: list[int] = field(default_factory=list)
    reserved: int = 0
    used: int = 0


class Slots:
    """Slots within a budget of tokens; `drop` is told of each that goes."""

    def __init__(self, budget: int, make: Callable[[], Caches], drop: Callable[[int], None]) -> None:
        """`budget` in tokens over all slots; 0 is no limit."""
        self.budget = budget
        self._make, self._drop = make, drop
        self._slots: dict[int, Slot] = {}
        self._indices = itertools.count()
        self._turns = itertools.count(1)
        self._padding = 0

    def take(self, prompt: list[int], need: int) -> tuple[Slot, int] | None:
        """A slot for a prompt that may come to `need` tokens, and how many of them it holds already.

        None: not while the present requests run.
        """
        slot, common = self._like(prompt)
        need = self._whole(need)
        if self.budget and self._busy() + self._padding + need > self.budget:
            return None
        if slot is None or not slot.caches.trim(common):
            # One that cannot be cut is of no use to this prompt, nor likely to another.
            if slot is not None:
                self._forget(slot)
            slot, common = Slot(next(self._indices), self._make()), 0
            self._slots[slot.index] = slot
        slot.tokens = prompt[:common]
        slot.reserved, slot.used = need, next(self._turns)
        self._make_room()
        return slot, common

    def room(self, padding: int) -> bool:
        """Whether so much padding has room beside what the present requests may come to."""
        return not self.budget or self._busy() + padding <= self.budget

    def pad(self, padding: int) -> None:
        """So many tokens of all caches are padding from now on."""
        self._padding = padding
        self._make_room()

    def release(self, slot: Slot) -> None:
        """Its request is over; the cache stays as long as there is room."""
        slot.reserved = 0

    def _like(self, prompt: list[int]) -> tuple[Slot | None, int]:
        """The idle slot that has most in common with the prompt."""
        best: tuple[Slot | None, int] = (None, 0)
        for slot in self._slots.values():
            if slot.reserved:
                continue
            # The last token is always fed again: its logits are what is wanted.
            pairs = zip(prompt[:-1], slot.tokens, strict=False)
            common = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
            if common > best[1] and common >= WORTH * min(len(slot.tokens), len(prompt)):
                best = slot, common
        return best

    def _make_room(self) -> None:
        while len(self._slots) > MOST or (self.budget and self._held() > self.budget):
            idle = [slot for slot in self._slots.values() if not slot.reserved]
            if not idle:
                return
            self._forget(min(idle, key=lambda slot: slot.used))

    def _held(self) -> int:
        slots = self._slots.values()
        return self._padding + sum(slot.reserved or self._whole(len(slot.tokens)) for slot in slots)

    def _whole(self, tokens: int) -> int:
        """What so many tokens take of the budget, which may be smaller than a block."""
        blocks = -(-tokens // BLOCK) * BLOCK
        return min(blocks, max(tokens, self.budget)) if self.budget else blocks

    def _busy(self) -> int:
        return sum(slot.reserved for slot in self._slots.values())

    def _forget(self, slot: Slot) -> None:
        del self._slots[slot.index]
        self._drop(slot.index)
