"""The nouns of planning: which device runs which layers, in which order, and how well that is to go."""

from __future__ import annotations

from typing import Literal

import msgspec

Backend = Literal["sockets", "ring", "jaccl", "jaccl-ring"]
Confidence = Literal["measured", "links measured", "priors"]


class Stage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The contiguous layers `[start, end)` that one rank runs, or a tensor group of several together."""

    device: str
    start: int
    end: int
    members: tuple[str, ...] = ()
    """The other devices of a tensor group; each holds a share of every layer."""

    @property
    def layers(self) -> int:
        """How many layers the stage holds."""
        return self.end - self.start

    @property
    def devices(self) -> tuple[str, ...]:
        """Every device of the stage."""
        return (self.device, *self.members)


class Post(msgspec.Struct, frozen=True):
    """Where one rank stands. Ranks are counted stage by stage, and within a tensor group by member."""

    device: str
    stage: int
    start: int
    end: int
    part: int = 0
    """Which of `parts` shares of every layer is its."""
    parts: int = 1


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """What a rank takes of its device's memory, and what it may take. Bytes."""

    weights: int
    cache: int
    workspace: int
    runtime: int
    usable: int

    @property
    def needed(self) -> int:
        """Bytes in all."""
        return self.weights + self.cache + self.workspace + self.runtime

    @property
    def free(self) -> int:
        """Bytes left; negative where the rank does not fit."""
        return self.usable - self.needed


class StageForecast(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stage's share of one decoded token goes, in seconds, and its memory on every device."""

    weights_s: float
    cache_s: float
    compute_s: float
    launch_s: float
    reduce_s: float
    head_s: float
    hop_s: float
    """Handing over to the next stage; from the last stage, sending the token back to the first."""
    memory: tuple[Footprint, ...]

    @property
    def busy_s(self) -> float:
        """Seconds the stage itself takes."""
        parts = (self.weights_s, self.cache_s, self.compute_s, self.launch_s, self.reduce_s, self.head_s)
        return sum(parts)


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """How a plan is to go, by the cost model."""

    decode_tps: float
    ttft_s: float
    """Seconds to the first token of a prompt of `prompt` tokens."""
    prompt: int
    gap: float | None
    """How far from the fastest plan this can be, as a share; 0 is proved fastest, None was not asked."""
    confidence: Confidence
    max_context: int
    """The longest context these stages have memory for, at most the model's own."""
    stages: tuple[StageForecast, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An ordered pipeline over devices and tensor groups. The first stage embeds, the last one samples."""

    model: str
    """Name of the model, as in its spec."""
    layers: int
    """Layers of the whole model."""
    stages: tuple[Stage, ...]
    context: int
    """Tokens that one request may come to, for which each stage has room."""
    requests: int = 0
    """Requests answered at a time, by the memory there was; 0 where that was not asked."""
    tokens: int = 0
    """Tokens that the KV caches of all of them may hold together; 0: of one context."""
    backend: Backend
    why: tuple[str, ...] = ()
    """Reasons for the choice, a sentence each, the most telling first."""
    forecast: Forecast | None = None
    obstacle: str = ""
    """Why this plan cannot be launched; empty when it can."""

    @property
    def split(self) -> tuple[int, ...]:
        """Layers per stage, in order."""
        return tuple(stage.layers for stage in self.stages)

    @property
    def groups(self) -> tuple[int, ...]:
        """Ranks per stage, in order."""
        return tuple(len(stage.devices) for stage in self.stages)

    @property
    def posts(self) -> tuple[Post, ...]:
        """Every rank, in order."""
        return tuple(
            Post(device, place, stage.start, stage.end, part, len(stage.devices))
            for place, stage in enumerate(self.stages)
            for part, device in enumerate(stage.devices)
        )


class Tuning(msgspec.Struct, frozen=True):
    """How a device did in a run: its own efficiency in place of the constants."""

    eta_bw: float
    overhead_scale: float
    tokens: int
    """Decoded tokens this rests on."""


class Host(msgspec.Struct, frozen=True):
    """What planning needs to know of a device. Memory in bytes."""

    id: str
    memory_limit: int
    """What a rank may use at most: the GPU working set on a Mac, RAM or a budget elsewhere."""
    memory_used: int = 0
    chip: str = ""
    """As the system names it, such as `Apple M4 Max`."""
    cores: int = 0
    tuning: Tuning | None = None


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """A path between two hosts. `rtt_us` is a measured round trip; None leaves a prior for its kind."""

    a: str
    b: str
    kind: str = "unknown"
    rtt_us: float | None = None
    rate: float | None = None
    """Measured bytes/s."""
    ends: tuple[str, str] = ("", "")
    """The path's addresses on a and on b, where each can be called by the other; empty where not known."""
    rdma: tuple[tuple[str, str], ...] = ()
    """RDMA devices at a's and at b's end of each cable between them that is ready for it."""


def caching(context: int, kv_bits: int) -> str:
    """How much a plan's KV cache holds, as people read it."""
    return f"context {context}" + (f", KV in {kv_bits} bits" if kv_bits else "")


class PlanError(ValueError):
    """The plan asked for cannot be made; the text says why and what would help."""
