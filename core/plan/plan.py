"""The nouns of planning: which device runs which layers, in which order."""

from __future__ import annotations

from typing import Literal

import msgspec

Backend = Literal["sockets", "ring"]


class Stage(msgspec.Struct, frozen=True):
    """The contiguous layers `[start, end)` that one rank runs."""

    device: str
    start: int
    end: int

    @property
    def layers(self) -> int:
        """How many layers the stage holds."""
        return self.end - self.start


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An ordered pipeline over devices. Rank r runs `stages[r]`; rank 0 embeds, the last rank samples."""

    model: str
    """Name of the model, as in its spec."""
    layers: int
    """Layers of the whole model."""
    stages: tuple[Stage, ...]
    context: int
    """Tokens of KV cache each stage has room for."""
    backend: Backend
    why: tuple[str, ...] = ()
    """Reasons for the choice, a sentence each."""

    @property
    def split(self) -> tuple[int, ...]:
        """Layers per rank, in rank order."""
        return tuple(stage.layers for stage in self.stages)


class Host(msgspec.Struct, frozen=True):
    """What planning needs to know of a device. Memory in bytes."""

    id: str
    memory_limit: int
    """What a rank may use at most: the GPU working set on a Mac, RAM or a budget elsewhere."""
    memory_used: int = 0


class PlanError(ValueError):
    """The plan asked for cannot be made; the text says why and what would help."""
