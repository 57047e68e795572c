"""What there is to plan: a model, devices, links, a request. The vocabulary of `exo-plan/1` documents.

SI units throughout: bytes, seconds, bytes/s, FLOP/s. `core.plan.instance` reads these from documents,
`core.plan.setting` makes them from a live cluster.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from core.plan.plan import PlanError

Amount = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Some = Annotated[int, msgspec.Meta(ge=0, le=2**31)]

Objective = Literal["decode", "prefill", "throughput"]


class LayerRun(msgspec.Struct, frozen=True, kw_only=True):
    """`count` equal layers in a row. Bytes and FLOPs are of one layer."""

    count: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    dense_bytes: Amount
    """Weights read for every token, which a tensor group shares out."""
    expert_bytes: Amount = 0
    """All routed experts together; a token reads `top_k / n_experts` of them."""
    n_experts: Some = 0
    top_k: Some = 0
    repl_bytes: Amount = 0
    """Weights that every member of a tensor group holds whole."""
    kv_bytes: Amount = 0
    """KV cache of one token."""
    kv_read_scale: Amount = 1
    window: Amount | None = None
    """Sliding window in tokens; None attends to the whole context."""
    state_bytes: Amount = 0
    """Fixed state of one sequence, in layers that keep one instead of a KV cache."""
    flops: Amount
    """Of one token, without attention to the context."""
    attn_flops: Amount = 0
    """Of one token, per token of context."""
    overhead: Amount
    """Seconds to launch the layer's kernels where `Device.overhead_scale` is 1."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What the planner needs of a model."""

    name: str = ""
    hidden: Count
    act_bytes: Positive = 2
    """Bytes of one activation on the wire."""
    n_heads: Count
    n_kv_heads: Count
    kv_shardable: bool = True
    """False for latent attention, whose cache every member of a tensor group holds whole."""
    embed_bytes: Amount
    head_bytes: Amount
    tied: bool = False
    """The head is the embedding: a stage that is first and last holds it once."""
    layers: Annotated[tuple[LayerRun, ...], msgspec.Meta(min_length=1)]
    uncut: tuple[Count, ...] = ()
    """Layers, counted from 0, with which no stage can begin."""

    @property
    def depth(self) -> int:
        """How many layers there are."""
        return sum(run.count for run in self.layers)


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device: usable memory, memory bandwidth, dense-matmul peak, and how busy it is with other work."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    mem: Amount
    bw: Positive
    flops: Positive
    load: Share = 0
    overhead_scale: Positive = 1
    chip: str = ""
    eta_bw: Positive | None = None
    """This device's own efficiency, measured on it; None takes the constant."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A connection of two devices: one-way latency inside MLX, bytes/s."""

    a: str
    b: str
    lat: Amount
    bw: Positive
    rdma: bool = False
    directed: bool = False
    kind: str = ""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be fast. Lengths in tokens."""

    objective: Objective = "decode"
    context: Amount = 4096
    prompt: Positive = 512
    chunk: Positive = 2048
    batch: Count = 1
    microbatches: tuple[Count, ...] = (1,)


class Constants(msgspec.Struct, frozen=True, kw_only=True):
    """The fitted constants of the cost model; `core.plan.chips` holds their values and sources."""

    eta_bw: Positive
    eta_kv: Positive
    eta_flops: Positive
    sync: Amount
    token_overhead: Amount
    rdma_fan: Amount
    runtime_bytes: Amount
    head_flops_per_byte: Amount


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """What the backend can launch. `hybrid`: tensor groups as stages of a pipeline."""

    tensor: bool = False
    hybrid: bool = False
    tp_sizes: tuple[Annotated[int, msgspec.Meta(ge=2, le=64)], ...] = (2, 4, 8)
    tp_needs_rdma: bool = False
    max_stages: Count | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One planning problem."""

    id: str = ""
    model: Model
    devices: Annotated[tuple[Device, ...], msgspec.Meta(min_length=1, max_length=62)]
    """At most 62: sets of devices are bits of an int64."""
    links: tuple[Link, ...] = ()
    request: Request
    constants: Constants
    caps: Caps = Caps()


class Span(msgspec.Struct, frozen=True):
    """A stage of a solution: a device, or a tensor group of several, runs the layers `[start, end)`."""

    devices: tuple[str, ...]
    start: int
    end: int


class InputError(PlanError):
    """The problem contradicts itself; the text is one line."""


def check(problem: Problem) -> None:
    """Raise InputError unless names are unique and known and every expert count makes sense."""
    ids = {device.id for device in problem.devices}
    if len(ids) < len(problem.devices):
        raise InputError("two devices have the same id")
    for link in problem.links:
        for end in (link.a, link.b):
            if end not in ids:
                raise InputError(f"the link {link.a}–{link.b} names {end}, which is no device here")
        if link.a == link.b:
            raise InputError(f"{link.a} is linked to itself")
    for run in problem.model.layers:
        if run.expert_bytes and not 1 <= run.top_k <= run.n_experts:
            raise InputError(f"a layer uses {run.top_k} of {run.n_experts} experts")
    if not any(count <= problem.request.batch for count in problem.request.microbatches):
        raise InputError(f"no number of micro-batches divides a batch of {problem.request.batch}")
